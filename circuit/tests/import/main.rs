//! From files of other programs to integer networks, and the file such a network is kept in.
#![allow(clippy::unwrap_used, clippy::panic)]

// What the tests are made of.
mod model;
mod tflite;

mod folding;
mod hostile;
mod lenet;
mod model_file;
mod operators;
mod pooling;
mod properties;
mod quantized;
mod refusals;
mod tflite_answers;
mod tflite_hostile;
mod tflite_models;
