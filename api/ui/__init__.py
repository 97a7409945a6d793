"""The dashboard at `/ui/`: pages for people, made of what the HTTP API answers.

It is a client of the API inside the process (`inside`): each page asks for documents as whoever is
logged in, so no rule is written twice, and what a key may not see is not shown.

To add a page:

1. A class in a file of its resource, with `on_get` and, for each change, a pair: `on_get_NAME`
   says what would happen (`Visit.ask_first`), `on_post_NAME` does it through the API
   (`Visit.change`) and leads back (`Visit.leave`). The token of the form was checked by then.
2. A template in `templates/` that extends `base.html` and fills `main`; words that recur are macros
   in `parts.html`.
3. Its routes in `routes`; in the navigation, if it is one to begin at, in `frame`.

A link to a change has the attribute `data-ask`: with JavaScript it opens the question as a dialog.
"""
