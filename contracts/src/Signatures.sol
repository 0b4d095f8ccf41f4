// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Signatures that the signer cannot take back.
/// @dev The key is asked first, whatever code the account has: an account with a key gets code at will (EIP-7702), and
/// code that was asked first could disown what the key signed.
library Signatures {
    /// @dev By the key of `signer`, for ever. Never by an account without a key.
    function isByKey(address signer, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        // The third value is the failure's detail: there is nobody to tell it to.
        // slither-disable-next-line unused-return
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        return failure == ECDSA.RecoverError.NoError && recovered == signer;
    }

    /// @dev By the key of `signer`, or as its code says now (ERC-1271), which may change its mind.
    function isByKeyOrCode(address signer, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (isByKey(signer, digest, signature)) return true;
        if (signer.code.length == 0) return false;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature);
    }
}
