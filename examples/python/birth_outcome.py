# %% [markdown]
# # Birth outcomes: four real clinics, and a model that stays weak
#
# Which pregnancies end before 37 weeks? The four clinics of a published trial (`data/birth_outcomes.csv`, 812 women)
# train one model on the examination at weeks 13 to 16. What is known then says little about the outcome, and a
# privacy goal cannot make it say more. An honest study shows that: several splits, the error of the measure, and the
# coin beside the model.

# %%
import pathlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import lepton_ai

HERE = pathlib.Path(globals().get("__file__", "notebook")).resolve().parent
ROOT = next(folder for folder in HERE.parents if (folder / "data").is_dir())
women = pd.read_csv(ROOT / "data" / "birth_outcomes.csv")
print(f"{len(women)} women at {women['clinic'].nunique()} clinics, {100 * (women['preterm'] == 'Yes').mean():.1f} % preterm")

# %% [markdown]
# A row is a woman, so a goal for records protects each woman. Every split keeps another quarter aside to measure the
# result. Only a simulation may repeat a run at will: in a federation, each one is charged to the clinics' budgets.

# %%
GOALS = {
    "no goal": {},
    "epsilon 8": {"privacy.epsilon": 8, "privacy.delta": 1e-5},
    "epsilon 3": {"privacy.epsilon": 3, "privacy.delta": 1e-5},
}
PRIVATE = {"privacy.clip": 4, "training.sampling_rate": 0.5, "evaluation.every": 50}  # one evaluation, at the end
SPLITS = range(1, 6)

found = {"one clinic alone,\nno goal": []} | {f"all clinics,\n{name}": [] for name in GOALS}
for name, goal in GOALS.items():
    for split in SPLITS:
        settings = {"data.split_seed": split, **goal, **(PRIVATE if goal else {})}
        run = lepton_ai.run(ROOT / "examples" / "clinics" / "job.toml", data=women, set=settings, comparison=not goal, quiet=True)
        found[f"all clinics,\n{name}"].append(run.report["baselines"]["federated"]["auc"])
        if not goal:
            alone = [clinic["alone"]["auc"] for clinic in run.report["parties"]]
            found["one clinic alone,\nno goal"].append(np.mean(alone))  # the mean of the four: picking the best afterwards would flatter

# %% [markdown]
# The AUC is the chance that a woman with a preterm birth is ranked above one without: 0.5 is a coin. With so few preterm
# births in a hold-out quarter, a coin itself often lands 0.06 away from that (the standard error of the rank sum).

# %%
term, preterm = run.report["baselines"]["federated"]["confusion"]
error = np.sqrt((sum(preterm) + sum(term) + 1) / (12 * sum(preterm) * sum(term)))
for name, values in found.items():
    print(f"{name.replace(chr(10), ' '):26} AUC {np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})")
print(f"last run: {run.statement}")

# %%
figure, axes = plt.subplots(figsize=(8, 4.8), layout="constrained")
axes.axhspan(0.5 - error, 0.5 + error, color="tab:gray", alpha=0.25, label=f"a coin, ± one standard error ({error:.2f})")
axes.axhline(0.5, color="tab:gray")
for place, (values, colour) in enumerate(zip(found.values(), ("tab:orange", "tab:green", "tab:blue", "tab:purple"))):
    axes.scatter(np.full(len(values), place) + np.linspace(-0.12, 0.12, len(values)), values, color=colour, s=45)
    axes.hlines(np.mean(values), place - 0.25, place + 0.25, color=colour, lw=2.5)
axes.plot([], [], color="black", lw=2.5, label="mean of five splits")
axes.set_xticks(range(len(found)), found)
axes.set(title="Preterm birth from weeks 13 to 16: hardly better than a coin", ylabel="AUC on hold-out women (exact, simulation)", ylim=(0.3, 0.8))
axes.legend(loc="lower left")
figure.savefig("birth_outcome.png", dpi=120)
