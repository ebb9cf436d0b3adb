#!/usr/bin/env python3
"""Whole files through `lepton encrypt` and `lepton decrypt`, beside `cp`, `openssl enc` and, where it is installed, `age`, as a Markdown table for BENCHMARKS.md.

    cargo build --release -p lepton && python3 scripts/bench_envelopes.py [--mib 512] [--runs 5] [--memory-gib 4] [--folder FOLDER]

Wall time of the whole process and of `sync` of its output, best of the runs, everything in turn so that all meet the same machine; files in the folder, the input
in the page cache. `openssl enc` has no authenticated cipher: AES-256-CTR, which is less work. Peak memory is by getrusage, over --memory-gib through a pipe.
"""
import argparse, os, pathlib, shutil, subprocess, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEPTON = ROOT / "target" / "release" / "lepton"


def timed(command, out):
    """Seconds of a command, and of waiting for the disk with its output."""
    out.unlink(missing_ok=True)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(out, "rb") as file:
        os.fsync(file.fileno())
    return time.perf_counter() - start


def peak(command, feed, out):
    """Peak resident memory in MiB of a command that reads from another one."""
    feeding = subprocess.Popen(feed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with open(out, "wb") as to:
        child = subprocess.Popen(command, stdin=feeding.stdout, stdout=to, stderr=subprocess.DEVNULL)
        feeding.stdout.close()
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    assert feeding.wait() == 0 and status == 0, command
    return usage.ru_maxrss / 1024


def commands(lepton, folder, plain):
    """Name, command and output of everything that is timed."""
    sealed, key = folder / "sealed", ["--key-file", folder / "me.key"]
    rows = [
        ("cp", ["cp", plain, folder / "copy"], folder / "copy"),
        ("lepton encrypt", [lepton, "encrypt", "--recipient", folder / "me.pem", "--in", plain, "--out", sealed], sealed),
        ("lepton decrypt", [lepton, "decrypt", *key, "--in", folder / "kept", "--out", folder / "back"], folder / "back"),
    ]
    if shutil.which("openssl"):
        secret = ["-K", "11" * 32, "-iv", "22" * 16]
        rows.append(("openssl enc -aes-256-ctr", ["openssl", "enc", "-aes-256-ctr", *secret, "-in", plain, "-out", folder / "ctr"], folder / "ctr"))
    if shutil.which("age"):
        public = subprocess.run(["age-keygen", "-o", folder / "age.key"], check=True, capture_output=True, text=True)
        recipient = public.stderr.split()[-1]
        rows.append(("age", ["age", "-r", recipient, "-o", folder / "age", plain], folder / "age"))
    return rows


def fill(path, mib):
    """Random bytes: nothing below can compress them."""
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for number in range(mib):
            file.write(number.to_bytes(8, "big") + block[8:])
        os.fsync(file.fileno())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--memory-gib", type=int, default=0)
    parser.add_argument("--folder", type=pathlib.Path, default=None)
    parser.add_argument("--lepton", type=pathlib.Path, default=LEPTON)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder, lepton = pathlib.Path(name), str(arguments.lepton)
        make = [lepton, "vault", "key", "generate", "--kind", "x25519", "--out", folder / "me.key", "--public", folder / "me.pem", "--insecure-plain"]
        subprocess.run(make, check=True, capture_output=True)
        plain = folder / "plain"
        fill(plain, arguments.mib)
        subprocess.run([lepton, "encrypt", "--recipient", folder / "me.pem", "--in", plain, "--out", folder / "kept"], check=True, capture_output=True)
        rows = commands(lepton, folder, plain)
        best = {}
        for _ in range(arguments.runs):
            for label, command, out in rows:
                best[label] = min(best.get(label, 1e9), timed(command, out))
                out.unlink()
        print(f"| {arguments.mib} MiB | seconds | MiB/s | of cp |\n|---|---|---|---|")
        for label, seconds in best.items():
            print(f"| `{label}` | {seconds:.2f} | {arguments.mib / seconds:.0f} | {best['cp'] / seconds:.0%} |")
        if arguments.memory_gib:
            memory(lepton, folder, arguments.memory_gib)


def memory(lepton, folder, gib):
    """Peak memory over many bytes, through pipes, so that the disk need not hold them."""
    zeros = ["head", "-c", str(gib << 30), "/dev/zero"]
    encrypt = [lepton, "encrypt", "--recipient", str(folder / "me.pem")]
    decrypt = [lepton, "decrypt", "--key-file", str(folder / "me.key")]
    encrypting = peak(encrypt, zeros, os.devnull)
    piped = ["sh", "-c", f"{' '.join(zeros)} | {' '.join(encrypt)}"]
    decrypting = peak(decrypt, piped, os.devnull)
    print(f"\nPeak memory over {gib} GiB: encrypt {encrypting:.0f} MiB, decrypt {decrypting:.0f} MiB")


if __name__ == "__main__":
    main()
