"""Writes mpmath.json: RDP of the Poisson-subsampled Gaussian at integer orders, and exp(gamma) in fixed point.

Run: python3 make_mpmath.py > mpmath.json   (needs mpmath, nothing else)
"""
import json
import sys

from mpmath import binomial, exp, floor, log, mp, mpf

mp.prec = 4000


def rdp(q, z, order):
    """Mironov, Talwar, Zhang 2019, section 3.3, summed directly at 4000 bits. q and z are the exact binary doubles."""
    q, z = mpf(q), mpf(z)
    total = sum(
        binomial(order, k) * (1 - q) ** (order - k) * q**k * exp(mpf(k * (k - 1)) / (2 * z * z))
        for k in range(order + 1)
    )
    return log(total) / (order - 1)


RDP = [
    (0.001, 30.0, o) for o in (2, 3, 17, 64, 128, 1024)
] + [
    (1e-6, 0.5, o) for o in (2, 5, 33, 256, 1024)
] + [
    (1e-9, 100.0, o) for o in (2, 64, 1024)
] + [
    (0.999, 1.0, o) for o in (2, 31, 512)
] + [
    (0.3, 1e5, o) for o in (2, 64, 1024)
] + [(0.05, 0.05, o) for o in (2, 7, 192)]

EXP = [(1, 1), (1, 3), (32, 1), (348, 11), (0, 5), (123456789012345678, 98765432109876543)]

json.dump(
    {
        "meta": {"tool": "mpmath " + __import__("mpmath").__version__, "precision_bits": mp.prec, "script": "make_mpmath.py"},
        "rdp": [{"q": q, "z": z, "order": o, "rdp": mp.nstr(rdp(q, z, o), 25)} for q, z, o in RDP],
        "exp": [
            {"numerator": n, "denominator": d, "floor_exp_times_2_256": format(int(floor(exp(mpf(n) / d) * 2**256)), "080x")}
            for n, d in EXP
        ],
        "exp_minus_j_times_2_64": [format(int(floor(exp(-j) * mpf(2) ** 64)), "016x") for j in range(1, 33)],
    },
    sys.stdout,
    indent=1,
)
print()
