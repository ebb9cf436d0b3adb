# %% [markdown]
# # Customer churn: who will leave, at four telephone companies
#
# Four companies train one logistic model on their customer lists, each customer protected with epsilon 3. The model is
# protected, so asking it anything afterwards costs no more privacy: here, what it says of customers made up for the
# question.
#
# Data: `data/telecom_churn.csv`, 7,043 customers of a fictional company, dealt to four simulated ones.

# %%
import pathlib

import matplotlib.pyplot as plt
import pandas as pd

import lepton_ai

HERE = pathlib.Path(globals().get("__file__", "notebook")).resolve().parent
ROOT = next(folder for folder in HERE.parents if (folder / "data").is_dir())
customers = pd.read_csv(ROOT / "data" / "telecom_churn.csv")

# %% [markdown]
# The job file lists the tariffs and the public limits of each number; the goal is added here. `comparison=True` also
# trains on pooled rows and at each company alone, which only a simulation can.

# %%
goal = {"privacy.epsilon": 3, "privacy.delta": 1e-5, "privacy.clip": 4, "training.sampling_rate": 0.5, "evaluation.every": 25}
run = lepton_ai.run(ROOT / "examples" / "churn" / "job.toml", data=customers, set=goal, comparison=True, quiet=True)

# %%
baselines = run.report["baselines"]
print(f"accuracy, noised, as released:  {run.metrics['accuracy']:.3f}")
for name, key in (("exact (simulation)", "federated"), ("pooled, no protection", "pooled"), ("always 'stays'", "majority")):
    print(f"{name + ':':31} {baselines[key]['accuracy']:.3f}, AUC {baselines[key]['auc']:.3f}")
print(run.statement)

# %% [markdown]
# Left: a made-up customer with internet over fibre and a bill of 85 dollars, by months and contract. It says who leaves,
# not why: another contract need not hold the same customer. Right: how much worse the model gets when one column is shuffled, measured on the
# simulation's hold-out rows; columns that say the same thing share their importance.
#
# Single weights are left alone on purpose: with noise one weight says little, and that of a value which no row has says nothing.

# %%
MONTHS = range(1, 73)
NO = ["online_security", "online_backup", "device_protection", "tech_support", "streaming_tv", "streaming_movies", "multiple_lines"]
made_up = {column: 0 for column in ("female", "senior_citizen", "partner", "dependents")} | {column: "No" for column in NO}
made_up |= {"phone_service": 1, "internet_service": "Fiber optic", "paperless_billing": 1, "payment_method": "Electronic check", "monthly_charges": 85.0}
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
for contract, colour in (("Month-to-month", "tab:red"), ("One year", "tab:orange"), ("Two year", "tab:blue")):
    asked = pd.DataFrame([{**made_up, "contract": contract, "tenure": month, "total_charges": 85.0 * month} for month in MONTHS])
    leaves = run.model.predict(asked).probabilities[:, 1]
    left.plot(MONTHS, 100 * leaves, color=colour, lw=2, label=contract.lower())
left.set(title="A customer with fibre, 85 dollars a month", xlabel="months with the company", ylabel="chance of leaving (%)", xlim=(1, 72), ylim=(0, 100))
left.legend(title="contract")

importance = sorted(run.report["importance"], key=lambda one: one["loss_increase"])[-8:]
right.barh([one["column"].replace("_", " ") for one in importance], [one["loss_increase"] for one in importance], color="tab:gray")
right.set(title="Importance of a column (exact, simulation)", xlabel="loss added by shuffling it (nats a customer)")
figure.suptitle(f"Churn: AUC {baselines['federated']['auc']:.3f} with every customer protected, {baselines['pooled']['auc']:.3f} on pooled rows without")
figure.savefig("customer_churn.png", dpi=120)
