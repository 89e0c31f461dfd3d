"""The web app of a study: what participants see, and what the organiser sees.

`database` stores participants and answers, `session` decides what a participant sees next, and
`app` answers requests. `keys` makes links and names that cannot be guessed, `plates` draws the
check of screen and colour vision, and `guard` bounds what requests may do.
"""
