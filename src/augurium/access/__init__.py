"""Who may call and what they may do: keys, tokens, scopes, rights and rates. Knows no transport."""
