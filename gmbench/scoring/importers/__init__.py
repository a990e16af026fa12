"""Other systems' outputs -> predictions: one small reader for each way of writing them down.

What a system writes for *not in the image* becomes None here and nowhere else: the scorer knows no
other encoding. What has no sure reading is either an error, or read by a stated rule and noted.
"""
