"""Writes scikit_learn.json: known answers from scikit-learn.

Run once: python3 -m venv v && v/bin/pip install scikit-learn && v/bin/python scikit_learn.py > scikit_learn.json
Data: scikit-learn's breast cancer (UCI, CC BY 4.0) and iris, standardised, every fourth row, rounded to 4 decimals.
"""
import json

import numpy as np
import sklearn
from sklearn import datasets, decomposition, linear_model, metrics, preprocessing


def rounded(x):
    return np.round(np.asarray(x, dtype=float), 4)


def logistic(data, columns):
    x = rounded(preprocessing.scale(data.data[:, columns]))[::4]
    y = data.target[::4]
    l2 = 0.01
    model = linear_model.LogisticRegression(C=1 / (l2 * len(y)), tol=1e-12, max_iter=100000).fit(x, y)
    return x, y, {
        "x": x.tolist(), "y": y.tolist(), "l2": l2,
        "weights": model.coef_.tolist(), "bias": model.intercept_.tolist(),
    }, model.predict_proba(x)


x, y, binary, p = logistic(datasets.load_breast_cancer(), list(range(6)))
_, y3, multi, p3 = logistic(datasets.load_iris(), list(range(4)))
rng = np.random.default_rng(5)
score = np.round(1 / (1 + np.exp(-rng.normal(size=400) * 2)), 2).clip(0.01, 0.99)
label = (rng.random(400) < score ** 1.5).astype(int)
value = np.round(rng.normal(size=50), 3)
guess = np.round(value + rng.normal(size=50) * 0.4, 3)
three = np.round(rng.dirichlet([1, 1, 1], size=120), 6)
three[:, 2] = 1 - three[:, 0] - three[:, 1]
three_y = np.array([rng.choice(3, p=row / row.sum()) for row in three])
pca = decomposition.PCA(n_components=2).fit(x)
print(json.dumps({
    "provenance": f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, written by scikit_learn.py",
    "binary": binary,
    "softmax": multi,
    "binary_metrics": {
        "p": score.tolist(), "y": label.tolist(),
        "auc": metrics.roc_auc_score(label, score), "loss": metrics.log_loss(label, score),
        "accuracy": metrics.accuracy_score(label, score > 0.5),
        "balanced_accuracy": metrics.balanced_accuracy_score(label, score > 0.5),
        "confusion": metrics.confusion_matrix(label, score > 0.5).tolist(),
    },
    "multi_metrics": {
        "p": three.tolist(), "y": three_y.tolist(),
        "auc": metrics.roc_auc_score(three_y, three, multi_class="ovr"),
        "loss": metrics.log_loss(three_y, three),
        "accuracy": metrics.accuracy_score(three_y, three.argmax(1)),
        "balanced_accuracy": metrics.balanced_accuracy_score(three_y, three.argmax(1)),
    },
    "regression_metrics": {
        "z": guess.tolist(), "y": value.tolist(),
        "rmse": float(np.sqrt(metrics.mean_squared_error(value, guess))),
        "mae": metrics.mean_absolute_error(value, guess), "r2": metrics.r2_score(value, guess),
    },
    "pca": {"explained": pca.explained_variance_ratio_.tolist(), "directions": pca.components_.tolist()},
}, separators=(",", ":")))
