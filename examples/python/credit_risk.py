# %% [markdown]
# # Credit risk: four lenders, one model, no loan shown to anybody
#
# Four lenders want to know which loans go bad. None may hand over its customers' files, and their customers differ:
# one lender has more bad loans than another. They train one model together, and every loan is protected with
# differential privacy: no epsilon above 3, whatever the coordinator and one colluding lender know together.
#
# Data: `data/consumer_credit.csv`, 4,454 loans. The four lenders are simulated on this machine.

# %%
import pathlib

import matplotlib.pyplot as plt
import pandas as pd

import lepton_ai

HERE = pathlib.Path(globals().get("__file__", "notebook")).resolve().parent
ROOT = next(folder for folder in HERE.parents if (folder / "data").is_dir())
loans = pd.read_csv(ROOT / "data" / "consumer_credit.csv")

# %% [markdown]
# The job file says which column is predicted, within which public limits numbers lie, and that the lenders find the
# list of homes and jobs together. Added here is the goal: each round takes half of the loans, no loan moves the sum by
# more than `clip`, and the noise is chosen so that all releases together stay within epsilon.

# %%
goal = {
    "privacy.epsilon": 3,
    "privacy.delta": 1e-5,
    "privacy.clip": 4,
    "training.sampling_rate": 0.5,
    "evaluation.every": 5,  # every evaluation is a release too: few of them leave more of epsilon to each
}
run = lepton_ai.run(ROOT / "examples" / "credit" / "job.toml", data=loans, set=goal, comparison=True, quiet=True)

# %% [markdown]
# `run.metrics` are what a real federation would learn: sums over all lenders' hold-out loans, noised under the goal. The
# comparison (`baselines`) looks at rows that no single place holds, so only a simulation has it.

# %%
baselines = run.report["baselines"]
print(f"accuracy, noised, as released:  {run.metrics['accuracy']:.3f}")
print(f"accuracy, exact (simulation):   {baselines['federated']['accuracy']:.3f}, AUC {baselines['federated']['auc']:.3f}")
print(f"trained on pooled loans:        {baselines['pooled']['accuracy']:.3f}, AUC {baselines['pooled']['auc']:.3f}, no protection")
print(f"always saying 'good':           {baselines['majority']['accuracy']:.3f}")
print(run.statement)

# %% [markdown]
# Left: the learning curve as released. Right: is a predicted 30 % really 30 %? Each point is a tenth of the
# scale, its area the number of loans.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
left.plot([p["round"] for p in run.rounds], [100 * p["accuracy"] for p in run.rounds], "o-", color="tab:blue", label="federated, epsilon 3 (noised)")
left.axhline(100 * baselines["pooled"]["accuracy"], color="tab:green", ls="--", label="pooled loans, no protection")
left.axhline(100 * baselines["majority"]["accuracy"], color="tab:gray", ls=":", label="always 'good'")
left.set(title="Learning curve", xlabel="round", ylabel="accuracy on hold-out loans (%)", ylim=(65, 90))
left.legend(loc="upper right")

bins = [one for one in baselines["federated"]["calibration"] if one["rows"] > 0]
predicted, observed, rows = ([one[key] for one in bins] for key in ("predicted", "observed", "rows"))
right.plot([0, 100], [0, 100], color="tab:gray", ls=":", label="perfect")
right.scatter([100 * p for p in predicted], [100 * o for o in observed], s=[count / 2 for count in rows], color="tab:blue", alpha=0.7, label="federated, epsilon 3 (exact, simulation)")
right.set(title="Calibration", xlabel="predicted share of bad loans (%)", ylabel="observed share (%)", xlim=(0, 100), ylim=(0, 100))
right.legend(loc="upper left")
figure.suptitle(f"Credit risk: AUC {baselines['federated']['auc']:.3f} with every loan protected, {baselines['pooled']['auc']:.3f} on pooled loans without")
figure.savefig("credit_risk.png", dpi=120)
