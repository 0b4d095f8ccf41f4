// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Accepts exactly one proof per statement: the keccak256 of the statement.
/// @dev A proof made from the statement the test expects is accepted only if the escrow rebuilt it bit by bit.
contract DigestVerifier {
    fallback(bytes calldata input) external returns (bytes memory) {
        uint256 split = input.length - 32;
        require(keccak256(input[:split]) == bytes32(input[split:]), "statement or proof differs");
        return abi.encode(1);
    }
}

/// @title Answers every call with the same bytes.
contract FixedAnswer {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
    }

    fallback(bytes calldata) external returns (bytes memory) {
        return _answer;
    }
}

/// @title Would like to write, which a static call forbids.
contract WritingVerifier {
    uint256 public calls;

    fallback(bytes calldata) external returns (bytes memory) {
        ++calls;
        return abi.encode(1);
    }
}

/// @title Burns whatever gas it gets, as a precompile does that is called with a point off the curve.
contract BurningVerifier {
    fallback() external {
        assembly {
            invalid()
        }
    }
}

/// @title Answers with more than anybody wants to copy.
contract LongAnswer {
    fallback() external {
        assembly {
            mstore(0, 1)
            return(0, 100000)
        }
    }
}
