"""The style of the report's page: colours by their part, of a light and of a dark ground."""

from augurium.core.drawing import COLOURS, DARK_COLOURS

_LIGHT = f"""
--ground: #ffffff; --panel: #f6f8fa; --text: #1f2328; --dim: #59636e; --line: #d1d9e0;
--job: {COLOURS[0]}; --alert: #b54500; --warn: #8a6100; --ok: #00714f; --filtered: #9aa4af;
--rejected: {COLOURS[1]};
"""
_DARK = f"""
--ground: #0d1117; --panel: #161b22; --text: #f0f6fc; --dim: #9198a1; --line: #3d444d;
--job: {DARK_COLOURS[0]}; --alert: {DARK_COLOURS[1]}; --warn: {DARK_COLOURS[4]};
--ok: {DARK_COLOURS[2]}; --filtered: #656c76; --rejected: {DARK_COLOURS[1]};
"""
STYLE = f"""
:root {{ {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 24px 20px 64px; max-width: 920px; background: var(--ground);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 26px; margin: 0; }} h2 {{ font-size: 18px; margin: 0 0 8px; }}
h3 {{ font-size: 15px; margin: 20px 0 6px; }}
header p, small {{ color: var(--dim); }} header p {{ margin: 4px 0 20px; overflow-wrap: anywhere; }}
p {{ margin: 6px 0; }} code {{ font-size: 13px; overflow-wrap: anywhere; }}
section {{ border-top: 1px solid var(--line); padding: 22px 0 18px; }}
.figures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 10px;
  margin: 0 0 24px; }}
.figures div {{ background: var(--panel); border-radius: 8px; padding: 10px 14px; }}
.figures dt {{ color: var(--dim); font-size: 13px; font-weight: 400; }}
.figures dd {{ font-size: 21px; font-weight: 600; margin: 0; white-space: nowrap; }}
.figures small {{ display: block; font-size: 12px; font-weight: 400; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; }}
dt {{ color: var(--dim); }} dd {{ margin: 0; }}
svg {{ display: block; font: 12px system-ui, sans-serif; }}
svg text {{ fill: var(--text); }} svg .dim {{ fill: var(--dim); }}
.plot {{ width: 100%; height: auto; }} .small {{ width: 150px; height: 40px; }}
svg .job {{ fill: var(--job); }} svg .filtered {{ fill: var(--filtered); }}
svg .rejected {{ fill: var(--rejected); }}
.small .job, .plot .job {{ opacity: 0.85; }}
svg .training {{ fill: none; stroke: var(--text); stroke-width: 1.4; }}
svg .grid, svg .tick {{ stroke: var(--line); fill: none; }}
.legend span {{ margin-right: 18px; white-space: nowrap; color: var(--dim); font-size: 13px; }}
.legend i {{ display: inline-block; width: 14px; height: 10px; margin-right: 6px; }}
i.job {{ background: var(--job); }} i.filtered {{ background: var(--filtered); }}
i.rejected {{ background: var(--rejected); }} i.outline {{ border: 1.4px solid var(--text); }}
.alert {{ color: var(--alert); font-weight: 600; }}
.warn {{ color: var(--warn); font-weight: 600; }}
.ok {{ color: var(--ok); }} .insufficient_data {{ color: var(--dim); }}
td .alert, td .warn, td .ok {{ white-space: nowrap; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums; margin-top: 6px; }}
th, td {{ text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: middle; }}
th {{ color: var(--dim); font-weight: 500; white-space: nowrap; }}
.name {{ min-width: 130px; max-width: 200px; overflow-wrap: anywhere; }}
.reasons {{ min-width: 200px; }} caption {{ text-align: left; }}
.unseen {{ position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }}
summary {{ cursor: pointer; color: var(--dim); margin-top: 10px; }}
@media print {{ body {{ max-width: none; }} section {{ break-inside: avoid; }} }}
"""
