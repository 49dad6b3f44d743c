"""Panels of Grafana, with what all of ours have in common: data source, units, legends, tooltips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

__all__ = ["DATASOURCE", "WINDOW", "Column", "Query", "Steps", "graph", "heat_map", "number", "overview_table"]

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
WINDOW = "$__rate_interval"
"""Grafana replaces it by a window that no scrape falls out of."""

Query: TypeAlias = tuple[str, str]
"""An expression, and the legend of its series: `{{label}}` is the value of a label."""

Steps: TypeAlias = Sequence[tuple[float | None, str]]
"""Where values begin to have a colour; the first has no beginning."""

Column: TypeAlias = tuple[str, str, str, Steps]
"""A column of a table: title, expression, unit, colours."""

GREEN: Steps = ((None, "green"),)


def _query(number: int, expression: str, legend: str = "") -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(chr(ord("A") + number)).expr(expression).datasource(DATASOURCE)
    return query.editor_mode(QueryEditorMode.CODE).legend_format(legend or "__auto")


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    found = [model.Threshold(value, color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


def graph(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    *,
    width: int = 12,
    steps: Steps = (),
    stacked: bool = False,
    exemplars: bool = False,
    colors: Sequence[tuple[str, str]] = (),
) -> timeseries.Panel:
    """Return lines over time.

    Args:
        steps: beyond the first, lines to stay below.
        stacked: put the series on top of each other.
        exemplars: show them as points, each with a link to its trace.
        colors: of lines whose legends match regular expressions.
    """
    panel = timeseries.Panel().title(title).description(description).datasource(DATASOURCE).unit(unit).height(8).span(width)
    panel = panel.min(0).line_width(1).fill_opacity(40 if stacked else 8).show_points(shapes.VisibilityMode.NEVER)
    legend = common.VizLegendOptions().display_mode(shapes.LegendDisplayMode.TABLE).placement(shapes.LegendPlacement.BOTTOM)
    panel = panel.legend(legend.show_legend(True).calcs(["mean", "max", "lastNotNull"]).sort_by("Mean").sort_desc(True))
    tooltip = common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING)
    panel = panel.tooltip(tooltip)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    if steps:
        style = common.GraphThresholdsStyleConfig().mode(shapes.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_thresholds([(None, "transparent"), *steps[1:]])).thresholds_style(style)
    for pattern, color in colors:
        fixed = dashboard.FieldColor().mode(model.FieldColorModeId.FIXED).fixed_color(color).build()
        panel = panel.override_by_regexp(f"/{pattern}/", [model.DynamicConfigValue("color", fixed)])
    for place, (expression, legend_format) in enumerate(queries):
        panel = panel.with_target(_query(place, expression, legend_format).range().exemplar(exemplars))
    return panel


def number(title: str, description: str, unit: str, expression: str, *, width: int = 4, steps: Steps = GREEN) -> stat.Panel:
    """Return one large number, with its recent past behind it."""
    panel = stat.Panel().title(title).description(description).datasource(DATASOURCE).unit(unit).height(4).span(width)
    panel = panel.thresholds(_thresholds(steps)).no_value("–").graph_mode(shapes.BigValueGraphMode.AREA)
    panel = panel.color_mode(shapes.BigValueColorMode.VALUE)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return panel.with_target(_query(0, expression).range())


def heat_map(title: str, description: str, unit: str, expression: str, *, width: int = 12) -> heatmap.Panel:
    """Return how values are distributed, over time."""
    panel = heatmap.Panel().title(title).description(description).datasource(DATASOURCE).height(8).span(width)
    colors = heatmap.HeatmapColorOptions().mode(heat.HeatmapColorMode.SCHEME).scheme("Oranges").steps(64).reverse(False)
    panel = panel.color(colors.fill("dark-orange").exponent(0.5)).calculate(False).cell_gap(1)
    panel = (
        panel.y_axis(heatmap.YAxisConfig().unit(unit)).show_legend().show_y_histogram().mode(shapes.TooltipDisplayMode.SINGLE)
    )
    panel = panel.cell_values(heatmap.CellValues().unit("reqps")).exemplars_color("rgba(50,116,217,0.9)")
    query = _query(0, expression, "{{le}}").range().format(PromQueryFormat.HEATMAP).exemplar(True)
    return panel.with_target(query)


def overview_table(
    title: str, description: str, keys: Sequence[tuple[str, str]], columns: Sequence[Column], link: str
) -> table.Panel:
    """Return a table with a row for each of what is asked for.

    Args:
        keys: the labels that tell rows apart, and their titles; the first has the link.
        columns: what is told of each.
        link: where a click on a row leads to; may be empty.
    """
    panel = table.Panel().title(title).description(description).datasource(DATASOURCE).height(10).span(24)
    renamed = {f"Value #{chr(ord('A') + place)}": column[0] for place, column in enumerate(columns)} | dict(keys)
    order = {name: place for place, name in enumerate([*dict(keys), *[name for name in renamed if name.startswith("Value #")]])}
    panel = panel.transformations([
        model.DataTransformerConfig(id_val="merge", options={}),
        model.DataTransformerConfig(
            id_val="organize", options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": renamed}
        ),
    ])  # fmt: skip
    for place, (name, expression, unit, steps) in enumerate(columns):
        panel = panel.with_target(_query(place, expression).instant().format(PromQueryFormat.TABLE))
        panel = panel.override_by_name(name, _cell(unit, steps))
    if link:
        links = [{"title": "Show only this", "url": link}]
        panel = panel.override_by_name(keys[0][1], [model.DynamicConfigValue("links", links)])
    panel = panel.footer(common.TableFooterOptions().enable_pagination(True).show(False).reducer([]))
    return panel.sort_by([common.TableSortByFieldState().display_name(columns[0][0]).desc(True)]).filterable(True)


def _cell(unit: str, steps: Steps) -> list[model.DynamicConfigValue]:
    value = [model.DynamicConfigValue("unit", unit), model.DynamicConfigValue("custom.width", 130)]
    if len(steps) > 1:
        options = shapes.TableColoredBackgroundCellOptions(mode=shapes.TableCellBackgroundDisplayMode.BASIC)
        value += [
            model.DynamicConfigValue("custom.cellOptions", options),
            model.DynamicConfigValue("thresholds", _thresholds(steps).build()),
        ]
    return value
