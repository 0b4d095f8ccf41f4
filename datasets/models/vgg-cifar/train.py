"""Trains a small VGG-like network on CIFAR-10 images and writes it as float ONNX.

    pip install -r ../lenet5/requirements.txt
    python3 datasets/models/vgg-cifar/train.py cifar10_test.bin --out vgg.onnx --heldout heldout.bin

cifar10_test.bin is the CIFAR-10 test set in its binary layout: 10,000 records of one label byte and
3,072 pixel bytes (channel, row, column). Neither it nor the weights are committed.

The split is ours, not CIFAR-10's. The network is trained on the FIRST 8,000 records of the TEST set and
measured on the LAST 2,000, which --heldout writes in the same layout. The accuracy printed is that of this
split alone: it cannot be compared with published CIFAR-10 results, which train on 50,000 other images and
are measured on all 10,000 of these; nor may the first 8,000 be used to measure this network.

Mind the order of the records. In the file used here they are sorted by the images' names, from "abandoned_ship"
to "yosemite_toad", not mixed as in the original distribution. So the held-out part, from "spadefoot" on, shows
kinds of animals and vehicles of which the trained part has next to none, and the classes are unevenly spread:
it is harder than a random fifth would be. For this, training weighs the classes alike, and the accuracy is
printed over the images and as the mean over the classes.

The network: two 3x3 convolutions of 16 channels, two of 32, two of 64, each with a border of one zero and
ReLU, a max pooling by 2 after each pair; then 128 neurons with ReLU, then the 10 logits. 204,570 parameters,
no batch normalization.

It sees pixel / 255 and nothing else. The number of epochs is fixed beforehand and the last weights are kept:
the 2,000 images choose nothing, they are only counted at the end, on the exported file. The seed
fixes every random choice; another processor may still round differently, so a second run gives a model of
the same quality, not the same bytes. With --checkpoint FILE the state is kept there after each epoch, and
a run with a FILE goes on from it; with --minutes M besides, a run stops after the epoch in which M minutes are
over, and the last of several such runs writes the results.

One run, with the pinned packages on two cores, two and a half minutes: 1,317 of the 2,000 held out (65.85 %; mean over
the classes 67.39 %), 6,655 of the 8,000 it was trained on.

Three habits keep the integer network's accumulators small: weight decay, a cap on the L2 norm of each
neuron's weights, and a light penalty on large activations.
"""

import argparse
import pathlib
import time

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper

SEED = 20
EPOCHS = 30
BATCH = 64
PEAK_RATE = 2e-3
WEIGHT_DECAY = 1e-2
NORM_CAP = 2.0
ACTIVITY = 1e-6
SHIFT = 3
RECORDS, TRAINED = 10_000, 8_000
RECORD = 1 + 3 * 32 * 32
CHANNELS = (16, 16, 32, 32, 64, 64)
HIDDEN = 128
SPLIT = "records 8,000 to 9,999 of the CIFAR-10 test set, trained on records 0 to 7,999 of the same file"


def load(path):
    """The raw records [N, 3073]."""
    raw = path.read_bytes()
    if len(raw) != RECORDS * RECORD:
        raise SystemExit(f"{path}: expected {RECORDS} records of {RECORD} bytes, found {len(raw)} bytes")
    records = np.frombuffer(raw, np.uint8).reshape(RECORDS, RECORD)
    if records[:, 0].max() > 9:
        raise SystemExit(f"{path}: expected labels from 0 to 9, found {records[:, 0].max()}")
    return records


def decode(records):
    """Images [N, 32, 32, 3] as pixel / 255, labels [N]."""
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).astype(np.float32) / 255
    return images, records[:, 0].astype(np.int64)


def build():
    """The network; channels last, as the CPU kernels want it."""
    cap = keras.constraints.MaxNorm
    calm = lambda: keras.regularizers.L2(ACTIVITY)
    layers = [keras.Input((32, 32, 3))]
    for index, channels in enumerate(CHANNELS, 1):
        layers.append(keras.layers.Conv2D(
            channels, 3, padding="same", activation="relu", name=f"conv{index}",
            kernel_initializer="he_normal",
            kernel_constraint=cap(NORM_CAP, axis=[0, 1, 2]), activity_regularizer=calm()))
        if index % 2 == 0:
            layers.append(keras.layers.MaxPooling2D(2))
    dense = lambda n, act, name: keras.layers.Dense(
        n, activation=act, name=name, kernel_constraint=cap(NORM_CAP), activity_regularizer=calm())
    return keras.Sequential([
        *layers, keras.layers.Flatten(), dense(HIDDEN, "relu", "dense1"), dense(10, None, "dense2")])


def augment(images, rng):
    """Each image shifted by up to SHIFT pixels, the gap black, and every other one mirrored."""
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    out = np.empty_like(images)
    for index, (top, left) in enumerate(rng.integers(0, 2 * SHIFT + 1, (len(images), 2))):
        out[index] = padded[index, top : top + 32, left : left + 32]
    mirrored = rng.random(len(images)) < 0.5
    out[mirrored] = out[mirrored, :, ::-1]
    return out


def begin(steps):
    """The untrained model and its optimizer."""
    model = build()
    rate = keras.optimizers.schedules.CosineDecay(PEAK_RATE, EPOCHS * steps)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def train(images, labels, checkpoint, minutes):
    """The trained Keras model, or None if the time was over before; the same seed takes the same path."""
    start = time.monotonic()
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    steps = len(images) // BATCH
    resumed = checkpoint is not None and checkpoint.exists()
    model = keras.saving.load_model(checkpoint) if resumed else begin(steps)
    weight = len(labels) / 10 / np.bincount(labels, minlength=10)  # every class counts alike
    for epoch in range(int(model.optimizer.iterations) // steps, EPOCHS):
        rng = np.random.default_rng((SEED, epoch))  # of the epoch alone, so that a resumed run draws the same
        order = rng.permutation(len(images))
        losses = []
        model.reset_metrics()
        for step in range(steps):
            pick = order[step * BATCH : (step + 1) * BATCH]
            losses.append(model.train_on_batch(augment(images[pick], rng), labels[pick], weight[labels[pick]]))
        print(f"epoch {epoch + 1:2} of {EPOCHS}: loss {losses[-1]:.4f}", flush=True)
        if checkpoint is not None:
            fresh = checkpoint.with_name("fresh-" + checkpoint.name)
            model.save(fresh)
            fresh.replace(checkpoint)
        if minutes is not None and time.monotonic() - start > 60 * minutes and epoch + 1 < EPOCHS:
            return None
    return model


def export(model, path):
    """Plain ONNX, opset 13, NCHW: Conv, Relu, MaxPool, Flatten, Gemm and nothing else."""
    weights = {}
    names = [layer.name for layer in model.layers if layer.get_weights()]
    for name in names:
        kernel, bias = model.get_layer(name).get_weights()
        if kernel.ndim == 4:
            kernel = kernel.transpose(3, 2, 0, 1)  # HWIO -> OIHW
        elif name == "dense1":  # its input was flattened (y, x, channel); ONNX flattens (channel, y, x)
            kernel = kernel.reshape(4, 4, CHANNELS[-1], HIDDEN).transpose(3, 2, 0, 1).reshape(HIDDEN, -1)
        else:
            kernel = kernel.T
        weights[f"{name}.weight"], weights[f"{name}.bias"] = np.ascontiguousarray(kernel), bias

    nodes, last = [], "image"

    def node(op, output, *parameters, **attributes):
        nonlocal last
        nodes.append(helper.make_node(op, [last, *parameters], [output], name=output, **attributes))
        last = output

    wb = lambda name: (f"{name}.weight", f"{name}.bias")
    for index in range(1, len(CHANNELS) + 1):
        node("Conv", f"conv{index}", *wb(f"conv{index}"),
             kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
        node("Relu", f"relu{index}")
        if index % 2 == 0:
            node("MaxPool", f"pool{index // 2}", kernel_shape=[2, 2], strides=[2, 2])
    node("Flatten", "flat", axis=1)
    node("Gemm", "dense1", *wb("dense1"), transB=1)
    node("Relu", f"relu{len(CHANNELS) + 1}")
    node("Gemm", "logits", *wb("dense2"), transB=1)
    tensor = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes, "vgg-cifar",
        [tensor("image", ["batch_size", 3, 32, 32])], [tensor("logits", ["batch_size", 10])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()])
    proto = helper.make_model(
        graph, producer_name="zknode", opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString(deterministic=True))
    return sum(value.size for value in weights.values())


def run(path, images):
    """Logits of the exported file, every sample."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"image": images.transpose(0, 3, 1, 2)})[0]


def headroom(model, images):
    """Per layer: the worst pre-activation its inputs' range could cause, over the largest output seen.

    The integer network pays for the first and rounds to the second, so small is good.
    """
    report, ceiling, x = {}, 1.0, images
    for layer in model.layers:
        x = layer(x)
        if layer.get_weights():
            kernel, bias = layer.get_weights()
            flat = kernel.reshape(-1, kernel.shape[-1])
            up = np.maximum(flat, 0).sum(0) * ceiling + bias
            down = np.minimum(flat, 0).sum(0) * ceiling + bias
            ceiling = float(np.abs(x).max())
            report[layer.name] = round(float(max(up.max(), -down.min())) / ceiling, 2)
    return report


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=f"Trains a VGG-like network; measured on {SPLIT}.")
    parser.add_argument("data", type=pathlib.Path, help="the CIFAR-10 test set, binary layout")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the ONNX file to write")
    parser.add_argument("--heldout", type=pathlib.Path, help="where to write the 2,000 held-out records")
    parser.add_argument("--checkpoint", type=pathlib.Path, help="state to keep and to go on from, *.keras")
    parser.add_argument("--minutes", type=float, help="stop after about this time, with --checkpoint")
    found = parser.parse_args()
    if found.minutes is not None and found.checkpoint is None:
        parser.error("--minutes needs --checkpoint")
    if found.checkpoint is not None and found.checkpoint.suffix != ".keras":
        parser.error("the name of the checkpoint must end in .keras")
    return found


def main():
    options = arguments()
    records = load(options.data)
    images, labels = decode(records[:TRAINED])
    test_images, test_labels = decode(records[TRAINED:])
    if options.heldout is not None:
        options.heldout.write_bytes(records[TRAINED:].tobytes())
    model = train(images, labels, options.checkpoint, options.minutes)
    if model is None:
        print("not done: run again with the same --checkpoint")
        return
    parameters = export(model, options.out)
    logits = run(options.out, test_images)
    gap = np.abs(logits - model.predict(test_images, batch_size=500, verbose=0)).max()
    if gap > 1e-3:
        raise SystemExit(f"the exported network differs from the trained one by {gap}")
    hit = logits.argmax(1) == test_labels
    right = int(hit.sum())
    classes = [int((test_labels == c).sum()) for c in range(10)]
    mean = np.mean([hit[test_labels == c].mean() for c in range(10)])
    seen = int((run(options.out, images).argmax(1) == labels).sum())
    print(f"{options.out}: {parameters} parameters, {options.out.stat().st_size} bytes")
    print(f"held out, {SPLIT}: {right} of {len(test_labels)} ({right / len(test_labels):.2%})")
    print(f"mean of the ten classes' accuracies there: {mean:.2%}")
    print(f"images per class: trained on {np.bincount(labels, minlength=10).tolist()}, held out {classes}")
    print(f"on the 8,000 it was trained on: {seen} of {len(labels)} ({seen / len(labels):.2%})")
    print("this is the accuracy of that split alone, not a CIFAR-10 test accuracy")
    print("worst case over seen, per layer:", headroom(model, test_images))


if __name__ == "__main__":
    main()
