"""Which LightGBM models never reach the converter to ONNX. Needs no LightGBM.

Each of these was measured: the conversion reports success, and the answers are wrong.
"""

from augurium.importing.lightgbm_file import LightgbmFile


def wrong_in_onnx(found: LightgbmFile) -> str:
    """What makes the converted model silently wrong; empty if nothing is known to."""
    objective, *settings = found.objective.split(" ")
    if found.has_linear_trees:
        return "linear_tree"
    if found.zero_is_missing:
        return "zero_as_missing"
    if found.averages_trees:
        return "boosting=rf"
    if objective == "multiclassova":
        return "objective multiclassova"
    if "sqrt" in settings:
        return "reg_sqrt"
    sigmoid = [s.partition(":")[2] for s in settings if s.startswith("sigmoid:")]
    if sigmoid and float(sigmoid[0]) != 1.0:
        return f"sigmoid={sigmoid[0]}"
    return ""
