"""Names of the sensors, valves and fault labels of the Tennessee Eastman data, with their units."""

FLOWS_AND_STATES = (
    ("a_feed_flow", "kscmh"),
    ("d_feed_flow", "kg/h"),
    ("e_feed_flow", "kg/h"),
    ("ac_feed_flow", "kscmh"),
    ("recycle_flow", "kscmh"),
    ("reactor_feed_flow", "kscmh"),
    ("reactor_pressure", "kPa gauge"),
    ("reactor_level", "%"),
    ("reactor_temperature", "degC"),
    ("purge_flow", "kscmh"),
    ("separator_temperature", "degC"),
    ("separator_level", "%"),
    ("separator_pressure", "kPa gauge"),
    ("separator_underflow", "m3/h"),
    ("stripper_level", "%"),
    ("stripper_pressure", "kPa gauge"),
    ("product_flow", "m3/h"),
    ("stripper_temperature", "degC"),
    ("stripper_steam_flow", "kg/h"),
    ("compressor_work", "kW"),
    ("reactor_coolant_outlet_temperature", "degC"),
    ("condenser_coolant_outlet_temperature", "degC"),
)
ANALYSERS = tuple(
    (f"{stream}_{component}", "mol %")
    for stream, components in (("reactor_feed", "abcdef"), ("purge", "abcdefgh"), ("product", "defgh"))
    for component in components
)
VALVES = (
    ("d_feed_valve", "%"),
    ("e_feed_valve", "%"),
    ("a_feed_valve", "%"),
    ("ac_feed_valve", "%"),
    ("compressor_recycle_valve", "%"),
    ("purge_valve", "%"),
    ("separator_liquid_valve", "%"),
    ("stripper_product_valve", "%"),
    ("stripper_steam_valve", "%"),
    ("reactor_coolant_valve", "%"),
    ("condenser_coolant_valve", "%"),
    ("agitator_speed", "%"),
)

#: Unit of each of the 53 inputs, in the order XMEAS(1)..XMEAS(41), XMV(1)..XMV(12).
UNITS = dict(FLOWS_AND_STATES + ANALYSERS + VALVES)

#: The 53 input names, in the order of the CSV.
INPUT_NAMES = tuple(UNITS)

#: Label of each disturbance of the plant that is used here; 0 is normal operation.
LABELS = {
    0: "normal",
    2: "idv02-b-composition-step",
    3: "idv03-d-feed-temperature-step",
    4: "idv04-reactor-coolant-temperature-step",
    5: "idv05-condenser-coolant-temperature-step",
    6: "idv06-a-feed-loss",
    7: "idv07-c-header-pressure-loss",
    8: "idv08-feed-composition-random",
    10: "idv10-c-feed-temperature-random",
    11: "idv11-reactor-coolant-temperature-random",
    13: "idv13-reaction-kinetics-drift",
    14: "idv14-reactor-coolant-valve-sticking",
    17: "idv17-reactor-heat-transfer-random",
}
