"""A run in a notebook: curves as SVG, the privacy statement, and the way to the whole report."""

from html import escape

_COLOURS = {"loss": "#b3541e", "accuracy": "#1f6f8b", "auc": "#5b7f2b"}


def run_html(run) -> str:
    """HTML without scripts, styles of the page, or anything from elsewhere."""
    report = run.report
    figures = "".join(
        f"<tr><td>{escape(name)}</td><td style='text-align:right'>{value:.4f}</td></tr>"
        for name, value in run.metrics.items()
        if isinstance(value, float)
    )
    colour = "#b00020" if report["insecure"] else "#1b5e20"
    statement = escape(run.statement).replace("\n", "<br>")
    return (
        f"<div><b>{escape(report['name'])}</b>: {len(report['parties'])} parties, {report['rounds']} rounds, {escape(report['model']['shape'])}"
        f"<div style='display:flex;gap:2em;flex-wrap:wrap'><table>{figures}</table>{_curves(run.rounds)}</div>"
        f"<p style='border-left:4px solid {colour};padding-left:.6em'>{statement}</p>"
        f"<p>Whole report: <code>{escape(str(run.report_html))}</code></p></div>"
    )


def _curves(rounds: list[dict]) -> str:
    return "".join(_curve(name, [(point["round"], point[name]) for point in rounds if point.get(name) is not None]) for name in _COLOURS)


def _curve(name: str, points: list) -> str:
    if len(points) < 2:
        return ""
    (first, last), values = (points[0][0], points[-1][0]), [value for _, value in points]
    low, high = min(values), max(values)
    across = [(8 + 204 * (x - first) / max(last - first, 1), 92 - 74 * (y - low) / ((high - low) or 1)) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in across)
    return (
        f"<svg width='220' height='112' role='img' aria-label='{name} by round'><polyline fill='none' stroke='{_COLOURS[name]}' stroke-width='2' points='{line}'/>"
        f"<text x='8' y='12' font-size='11'>{name}: {values[-1]:.4f} after round {last}</text>"
        f"<text x='8' y='108' font-size='10'>round {first}</text><text x='212' y='108' font-size='10' text-anchor='end'>{last}</text></svg>"
    )
