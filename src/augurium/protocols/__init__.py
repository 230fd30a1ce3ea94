"""Wire forms: each protocol decodes into one request and encodes one answer. No decisions are made
here.
"""
