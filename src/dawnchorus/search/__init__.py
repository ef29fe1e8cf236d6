"""From an archive of vectors to answers: what is like this, what is there, what is strange.

It knows stores and vectors; it must not know how a question is put or an answer shown. Start
reading at ``archive`` (stores as one array that stays on disk), then ``neighbours`` (the best
windows for a direction).
"""
