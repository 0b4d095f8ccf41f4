//! The sizes beyond which a reader refuses, checked before anything is allocated for them.

/// Largest file read, in bytes: the CIFAR-100 training file is 154 MB.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// Largest test set held in memory, in bytes of pixels: 14,000 color images of 224x224.
pub const MAX_DATASET_BYTES: u64 = 1 << 31;
/// Most samples of one test set.
pub const MAX_SAMPLES: usize = 1 << 20;
/// Most classes: a label has 16 bits.
pub const MAX_CLASSES: usize = 1 << 16;
/// Largest height or width of an image, in pixels.
pub const MAX_SIDE: usize = 1 << 13;
/// Most channels of an image.
pub const MAX_CHANNELS: usize = 16;
/// Largest memory a PNG or JPEG decoder may ask for, in bytes.
pub const MAX_DECODER_BYTES: u64 = 1 << 28;
/// Largest label list of an image folder, in bytes.
pub const MAX_LIST_BYTES: u64 = 1 << 26;
/// Most bytes that one byte of DEFLATE can expand to.
pub(crate) const DEFLATE_RATIO: u64 = 1032;
