#!/usr/bin/env python3
"""Fashion-MNIST in a federation of ten parties under a privacy goal, as Markdown rows for BENCHMARKS.md. Needs the release binary, Python's standard
library and the images (Debian's package dataset-fashion-mnist, MIT licence).

    cargo build --release && python3 scripts/bench_fashion_mnist.py --epsilon 1 3 8

All 70,000 images are dealt evenly to the parties; a seventh of them, chosen by a hash of the image, is kept aside and measured on. Accuracy is exact on
these (`baselines.federated`, simulation only). One seed per epsilon, delta 1e-5, a convolutional network of 17,706 parameters.
"""
import argparse, gzip, json, pathlib, resource, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = pathlib.Path("/usr/share/datasets/fashion-mnist")
SIDE = 28
PIXELS = [f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE)]
JOB = """[job]
name = "fashion-mnist"
[data]
table = "images.csv"
label = "garment"
kind = "image"
shape = [28, 28, 1]
types = { garment = "category" }
classes = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
test_fraction = 0.142857
split = { by = "even", parties = 10 }
[prepare]
scale = "minmax"
duplicates = "keep"
[prepare.bounds]
%s
[model]
kind = "cnn"
channels = [16, 32]
kernel = 5
stride = 2
activation = "tanh"
normalisation = "none"
hidden = [32]
[training]
rounds = %d
sampling_rate = 0.034
[evaluation]
every = 10000
[protection]
colluders = 1
drops = 1
[privacy]
epsilon = %s
delta = 1e-5
clip = 1.0
learning_rate = %s
"""


def read(name, head):
    with gzip.open(FOLDER / name) as file:
        return file.read()[head:]


def images(path):
    with open(path, "w") as out:
        out.write(",".join(PIXELS + ["garment"]) + "\n")
        for part in ("train", "t10k"):
            pixels, labels = read(f"{part}-images-idx3-ubyte.gz", 16), read(f"{part}-labels-idx1-ubyte.gz", 8)
            for row, label in enumerate(labels):
                out.write(",".join(map(str, pixels[row * len(PIXELS):(row + 1) * len(PIXELS)])) + f",{label}\n")


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--epsilon", nargs="+", default=["1", "3", "8"])
    flags.add_argument("--rounds", type=int, default=400)
    flags.add_argument("--learning-rate", default="0.005")
    flags.add_argument("--binary", default=str(ROOT / "target/release/lepton"))
    chosen = flags.parse_args()
    if not FOLDER.is_dir():
        sys.exit(f"{FOLDER} is not there; install Debian's package dataset-fashion-mnist")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        images(folder / "images.csv")
        bounds = "\n".join(f"{pixel} = [0, 255]" for pixel in PIXELS)
        print("| epsilon | rounds | accuracy | epsilon spent against the coordinator | wall | CPU |\n|---|---|---|---|---|---|", flush=True)
        for epsilon in chosen.epsilon:
            (folder / "job.toml").write_text(JOB % (bounds, chosen.rounds, epsilon, chosen.learning_rate))
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
            command = [chosen.binary, "run", str(folder / "job.toml"), "--runs", str(folder), "--quiet", "--json", "--no-comparison"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            report, after = json.loads(done.stdout), resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"| {epsilon} | {chosen.rounds} | {report['baselines']['federated']['accuracy']:.4f} | {report['privacy']['epsilon_coordinator']:.3f} "
                  f"| {time.time() - began:.0f} s | {cpu:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
