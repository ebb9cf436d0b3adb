# %% [markdown]
# # Monthly bills: what does each service cost? With a model of your own
#
# Four telephone companies learn a price list from their customers' bills: what one more service adds to a monthly bill. It
# stands for every question of the kind "what does each part add to the price": deliveries, repairs, insurance.
# Every customer is protected with epsilon 3.
#
# The model is not one of Lepton's but a class of ours in numpy: a Huber regression, which a few odd bills cannot bend.
# Data: `data/telecom_churn.csv`, 7,043 customers of a fictional company, dealt to four simulated ones.

# %%
import json
import pathlib

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import lepton_ai

HERE = pathlib.Path(globals().get("__file__", "notebook")).resolve().parent
ROOT = next(folder for folder in HERE.parents if (folder / "data").is_dir())
customers = pd.read_csv(ROOT / "data" / "telecom_churn.csv")

# %% [markdown]
# The columns and their values are the tariff sheet: public, not looked up in the data. Each becomes one input per value
# and one for anything else, so the model has 32 inputs.

# %%
YES_NO = ["online_security", "online_backup", "device_protection", "tech_support", "streaming_tv", "streaming_movies"]
VALUES = {
    "multiple_lines": ["No", "No phone service", "Yes"],
    "internet_service": ["DSL", "Fiber optic", "No"],
    **{service: ["No", "No internet service", "Yes"] for service in YES_NO},
}
INPUTS = sum(len(values) + 1 for values in VALUES.values())

# %% [markdown]
# A party trains by `gradient`, one customer at a time: Lepton draws the customers, cuts each gradient, and noises the sum.
# `fit` serves runs without a goal. Nothing here knows about masks, noise or budgets.


# %%
class Huber(lepton_ai.Party):
    shapes = [(INPUTS,), ()]  # weights, intercept

    def predict(self, parameters, x):
        return x @ parameters[0] + parameters[1]

    def gradient(self, parameters, x, y):
        error = np.clip(self.predict(parameters, x) - y, -1, 1)  # beyond one standard deviation, only the sign counts
        return [x.T @ error, error.sum()]

    def fit(self, parameters, x, y, config):
        slopes = self.gradient(parameters, x, y)
        return [array - config["learning_rate"] * slope / len(y) for array, slope in zip(parameters, slopes)]


# %%
job = {
    "job": {"name": "monthly_bill"},
    "data": {
        "table": str(ROOT / "data" / "telecom_churn.csv"),
        "label": "monthly_charges",
        "features": list(VALUES),
        "types": {"monthly_charges": "number"},
        "split": {"by": "even", "parties": 4},
    },
    "prepare": {"categories": "declared", "values": VALUES, "bounds": {"monthly_charges": [0, 150]}},
    "training": {"rounds": 40, "sampling_rate": 0.5},
    "privacy": {"epsilon": 3, "delta": 1e-5, "clip": 1, "learning_rate": 0.5},
    "evaluation": {"every": 40},  # once, at the end: every evaluation is a release of its own
}
run = lepton_ai.run(job, data=customers, party=Huber, quiet=True)

# %% [markdown]
# The weights count in standard deviations of the bill; the deviation that Lepton found, noised, is in the model file's header.
# A price is the difference between two values of one column. Beside it, for this page alone: ordinary least squares and
# errors on the pooled customers, which no company could compute. What a federation would see, the noised `run.metrics`, is
# for amounts of money rough at this epsilon.

# %%
raw = (run.model.folder / "model.safetensors").read_bytes()
header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
bill = json.loads(header["__metadata__"]["lepton"])["preparation"]["target"]["value"]  # its mean and standard deviation
weights = dict(zip(run.report["model"]["features"], run.model.tensors()["tensor0"], strict=True))

steps = {"fibre instead of DSL": ("internet_service", "Fiber optic", "DSL"), "second line": ("multiple_lines", "Yes", "No")}
steps |= {service.replace("_", " "): (service, "Yes", "No") for service in YES_NO}
learned = [bill["std"] * float(weights[f"{column}={to}"] - weights[f"{column}={of}"]) for column, to, of in steps.values()]

spread = pd.get_dummies(customers[list(VALUES)], dtype=float)
pooled = dict(zip(spread.columns, np.linalg.lstsq(spread.to_numpy(), customers["monthly_charges"].to_numpy(), rcond=None)[0]))
exact = [pooled[f"{column}_{to}"] - pooled[f"{column}_{of}"] for column, to, of in steps.values()]

inputs = np.stack([customers[column] == value for column, value in (name.split("=") for name in weights)], axis=1)
predicted = bill["mean"] + bill["std"] * Huber("here").predict(list(run.model.tensors().values()), inputs)
error = np.abs(predicted - customers["monthly_charges"]).mean()
always_mean = np.abs(customers["monthly_charges"] - customers["monthly_charges"].mean()).mean()

# %%
off = np.abs(np.subtract(learned, exact))
print(f"a bill is predicted with a mean error of ${error:.2f} (all customers, exact, simulation); always saying the mean: ${always_mean:.2f}")
print(f"prices of {len(steps)} services: off by ${off.mean():.2f} a month on average, ${off.max():.2f} at most")
print(f"dearest step: {list(steps)[int(np.argmax(learned))]}, ${max(learned):.2f} a month (pooled: ${exact[int(np.argmax(learned))]:.2f})")
print(run.statement)

# %%
figure, axes = plt.subplots(figsize=(8.5, 5), layout="constrained")
places = np.arange(len(steps))
axes.barh(places - 0.2, learned, height=0.38, color="tab:blue", label="federated, own model, epsilon 3")
axes.barh(places + 0.2, exact, height=0.38, color="tab:green", alpha=0.6, label="least squares on pooled bills, no protection")
axes.set_yticks(places, list(steps))
axes.invert_yaxis()
axes.axvline(0, color="black", lw=0.8)
axes.set(title="What one more service adds to the bill", xlabel="US dollars a month")
axes.legend(loc="lower right")
figure.savefig("monthly_bill.png", dpi=120)
