#!/usr/bin/env python3
"""Times of the accountants beside dp-accounting's, from one run, as a Markdown table for BENCHMARKS.md. Needs `pip install dp-accounting`.

    cargo build --release -p lepton-dp --example accountants && python3 scripts/bench_accountants.py target/release/examples/accountants

Both sides measure processor time: Lepton the mean, dp-accounting the best of several runs.
"""
import json, subprocess, sys, time

from dp_accounting import dp_event as ev
from dp_accounting import mechanism_calibration, pld, rdp

DELTA = 1e-5


def best(work, runs=3):
    least = float("inf")
    for _ in range(runs):
        start = time.process_time()
        work()
        least = min(least, time.process_time() - start)
    return least


def dpsgd(rate, sigma, count):
    return ev.SelfComposedDpEvent(ev.PoissonSampledDpEvent(rate, ev.GaussianDpEvent(sigma)), count)


def pld_epsilon(events, interval=1e-4):
    accountant = pld.PLDAccountant(value_discretization_interval=interval)
    for event in events:
        accountant.compose(event)
    return accountant.get_epsilon(DELTA)


def rdp_epsilon(event, orders=None):
    accountant = rdp.RdpAccountant(orders) if orders else rdp.RdpAccountant()
    accountant.compose(event)
    return accountant.get_epsilon(DELTA)


def calibrate(make):
    bracket = mechanism_calibration.ExplicitBracketInterval(0.3, 50)
    return mechanism_calibration.calibrate_dp_mechanism(make, lambda sigma: dpsgd(0.01, sigma, 1000), 1.0, DELTA, bracket, tol=1e-6)


def main():
    ours = json.loads(subprocess.run([sys.argv[1]], capture_output=True, text=True, check=True).stdout)
    different = [dpsgd(0.01, 1 + i / 100, 1) for i in range(100)]
    theirs = {
        "rdp_default_orders": best(lambda: rdp_epsilon(dpsgd(0.01, 1.0, 1000))),
        "rdp_1000_orders": best(lambda: rdp_epsilon(dpsgd(0.01, 1.0, 1000), list(range(2, 1002)))),
        "pld_10000_steps": best(lambda: pld_epsilon([dpsgd(0.01, 1.0, 10_000)])),
        "pld_10000_steps_grid_1e-5": best(lambda: pld_epsilon([dpsgd(0.01, 1.0, 10_000)], 1e-5), 1),
        "pld_100_different_steps": best(lambda: pld_epsilon(different), 1),
        "calibrate_rdp": best(lambda: calibrate(rdp.RdpAccountant)),
        "calibrate_pld": best(lambda: calibrate(pld.PLDAccountant), 1),
    }
    theirs["pld_10000_steps_grid_1e-4"] = theirs["pld_10000_steps"]
    theirs["pld_100_different_steps_grid_1e-4"] = theirs["pld_100_different_steps"]
    print("| work | Lepton | dp-accounting | ratio |\n|---|---|---|---|")
    for name, seconds in ours.items():
        other = theirs[name]
        print(f"| {name} | {seconds * 1e3:.2f} ms | {other * 1e3:.0f} ms | {other / max(seconds, 1e-9):.0f} |")


if __name__ == "__main__":
    main()
