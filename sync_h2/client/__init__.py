"""The client: connections and pools of them, and calls as scripts know them from requests. Its rooms import downward
only: calls, pool, opening, wire, messages, options, values.
"""
