"""What is said about a call besides its request: who asks, with which cookies, how long, whom it trusts, by which
proxy. Imports values.
"""
