//! How large a file may be, decided before it is decoded: an empty message takes two bytes of the
//! file and some hundred of memory.

use crate::network::import::{ImportError, MAX_FILE};

/// Messages and strings in a file.
const MAX_PARTS: usize = 1 << 20;

/// Refuses files that are too large or have too many parts.
pub fn check(file: &[u8]) -> Result<(), ImportError> {
    let limit = |what, found, max| {
        if found > max {
            return Err(ImportError::TooLarge { what, found, max });
        }
        Ok(())
    };
    limit("the number of bytes", file.len(), MAX_FILE)?;
    // ONNX has no groups; what is behind one would not be counted.
    let parts = parts(file, &MODEL).ok_or(ImportError::NoGraph)?;
    limit("the number of messages and strings", parts, MAX_PARTS)
}

/// A message's fields that are messages, by tag.
struct Fields(&'static [(u32, &'static Fields)]);

const LEAF: Fields = Fields(&[]);
const TENSOR: Fields = Fields(&[(13, &LEAF)]);
const ATTRIBUTE: Fields = Fields(&[(5, &TENSOR)]);
const NODE: Fields = Fields(&[(5, &ATTRIBUTE)]);
const SHAPE: Fields = Fields(&[(1, &LEAF)]);
const TENSOR_TYPE: Fields = Fields(&[(2, &SHAPE)]);
const TYPE: Fields = Fields(&[(1, &TENSOR_TYPE)]);
const VALUE_INFO: Fields = Fields(&[(2, &TYPE)]);
const GRAPH: Fields = Fields(&[
    (1, &NODE),
    (5, &TENSOR),
    (11, &VALUE_INFO),
    (12, &VALUE_INFO),
]);
const MODEL: Fields = Fields(&[(7, &GRAPH), (8, &LEAF)]);

/// Fields of a message that have a length, and those of the messages in it; `None` where a group
/// begins. Where the bytes end early, so does the decoder, and with an error.
fn parts(mut message: &[u8], fields: &Fields) -> Option<usize> {
    let mut count = 0usize;
    while let Some(key) = varint(&mut message) {
        let length = match key & 7 {
            0 => {
                varint(&mut message);
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message).unwrap_or(u64::MAX)).ok()?,
            5 => 4,
            _ => return None,
        };
        let Some((inside, rest)) = message.split_at_checked(length) else {
            break;
        };
        if key & 7 == 2 {
            count += 1;
            let known = fields.0.iter().find(|(tag, _)| u64::from(*tag) == key >> 3);
            count += known.map_or(Some(0), |(_, fields)| parts(inside, fields))?;
        }
        message = rest;
    }
    Some(count)
}

/// Takes an integer of up to ten bytes, seven bits each, off the front.
fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::network::import::onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto};
    use prost::Message;

    fn model(attributes: usize) -> Vec<u8> {
        let node = NodeProto {
            attribute: vec![AttributeProto::default(); attributes],
            ..NodeProto::default()
        };
        let graph = GraphProto {
            node: vec![node],
            ..GraphProto::default()
        };
        let model = ModelProto {
            graph: Some(graph),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    #[test]
    fn nested_messages_are_counted() {
        // The graph, the node, three attributes.
        assert_eq!(parts(&model(3), &MODEL), Some(5));
    }

    #[test]
    fn a_small_file_of_many_messages_is_refused() {
        let file = model(MAX_PARTS);
        assert!(file.len() < 3 * MAX_PARTS);
        assert!(matches!(check(&file), Err(ImportError::TooLarge { .. })));
    }

    #[test]
    fn groups_are_refused() {
        // Field 20, a group, empty.
        assert!(matches!(
            check(&[0xa3, 1, 0xa4, 1]),
            Err(ImportError::NoGraph)
        ));
    }
}
