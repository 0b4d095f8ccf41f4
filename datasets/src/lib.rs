//! Labelled image test sets: IDX, CIFAR binary, image folders.
