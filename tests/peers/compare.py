"""One LeNet-5 image with ezkl, a batch with zknode, on the same machine in the same run.

ezkl (https://github.com/zkonduit/ezkl) proves the logits of one image. Its reference string is made on the spot:
times only, no security. Prints a table, or JSON with --json.
"""

import argparse
import gzip
import json
import pathlib
import resource
import subprocess
import tempfile
import time

import ezkl

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "datasets/models/lenet5/lenet5.onnx"
IMAGES = ROOT / "datasets/fixtures/mnist-256/mnist-256-images-idx3-ubyte.gz"
# The header of an IDX file of images.
HEADER = 16


def first_image():
    """Pixels / 255 of the first bundled image."""
    data = gzip.decompress(IMAGES.read_bytes())
    return [pixel / 255 for pixel in data[HEADER : HEADER + 28 * 28]]


def timed(step, *arguments, **named):
    start = time.monotonic()
    if not step(*arguments, **named):
        raise SystemExit(f"ezkl.{step.__name__} failed")
    return time.monotonic() - start


def run_ezkl(folder, committed):
    def path(name):
        return str(folder / name)

    arguments = ezkl.PyRunArgs()
    arguments.input_visibility = "private"
    arguments.output_visibility = "public"
    arguments.param_visibility = "polycommit" if committed else "fixed"
    arguments.variables = [("batch_size", 1)]
    pathlib.Path(path("input.json")).write_text(json.dumps({"input_data": [first_image()]}))
    ezkl.gen_settings(str(MODEL), path("settings.json"), py_run_args=arguments)
    ezkl.calibrate_settings(path("input.json"), str(MODEL), path("settings.json"), "resources")
    ezkl.compile_circuit(str(MODEL), path("circuit"), path("settings.json"))
    settings = json.loads(pathlib.Path(path("settings.json")).read_text())
    logrows = settings["run_args"]["logrows"]
    ezkl.gen_srs(path("srs"), logrows)
    setup = timed(ezkl.setup, path("circuit"), path("vk"), path("pk"), srs_path=path("srs"))
    start = time.monotonic()
    ezkl.gen_witness(path("input.json"), path("circuit"), path("witness"), path("vk"), path("srs"))
    ezkl.prove(path("witness"), path("circuit"), path("pk"), path("proof"), path("srs"))
    prove = time.monotonic() - start
    verify = timed(ezkl.verify, path("proof"), path("settings.json"), path("vk"), path("srs"))
    proof = json.loads(pathlib.Path(path("proof")).read_text())
    return {
        "version": ezkl.__version__ if hasattr(ezkl, "__version__") else "23.0.5",
        "weights": arguments.param_visibility,
        "k": logrows,
        "setup_seconds": setup,
        "seconds_per_image": prove,
        "verify_milliseconds": verify * 1e3,
        "proof_bytes": len(proof["proof"]),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def run_zknode(program):
    command = [program, "--json", "bench"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return json.loads(output.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zknode", required=True, help="the zknode executable")
    parser.add_argument("--committed", action="store_true", help="commit to the peer's weights too")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.zknode).resolve())
    ours = run_zknode(program)
    with tempfile.TemporaryDirectory() as folder:
        theirs = run_ezkl(pathlib.Path(folder), arguments.committed)
    ratio = theirs["seconds_per_image"] / ours["seconds_per_image"]
    if arguments.json:
        print(json.dumps({"ezkl": theirs, "zknode": ours, "ratio": ratio}))
        return
    print(f"{'':24} {'ezkl':>14} {'zknode':>14}")
    print(f"{'seconds an image':24} {theirs['seconds_per_image']:14.2f} {ours['seconds_per_image']:14.3f}")
    for name, field, unit in [
        ("verification, ms", "verify_milliseconds", 1),
        ("proof, bytes", "proof_bytes", 1),
        ("peak memory, MB", "peak_rss_bytes", 1e6),
    ]:
        print(f"{name:24} {theirs[field] / unit:14.1f} {ours[field] / unit:14.1f}")
    print(f"zknode is {ratio:.0f} times as fast an image ({ours['images']} images in one proof)")


if __name__ == "__main__":
    main()
