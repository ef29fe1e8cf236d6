"""The only decoders: recordings of any format as blocks of samples, damaged ones included.

What was recorded is worth having, so damage costs no more than the damaged samples: WAVs with a
wrong size are read by the size of the file, a file that breaks off is read as far as it goes, and
reading starts again behind damage. Lost samples become silence, and `Recording.damage` says so.

A recording that cannot be read, or not to its end, is an `AudioError`. Its ``reason`` is one of:

================= =======================================================================
missing           no such file
denied            the file may not be opened, or the disk does not answer
folder            a folder
not-a-file        a pipe or a device
empty             no bytes, or a header and no sound, or nothing in the requested span
unreadable        not sound, headerless sound, or sound of a kind that no decoder here knows
rate              outside 1 kHz to 500 kHz
input-output      the disk failed during reading, or gave less than was there before
header-unpatched  sound behind a header that says there is none: the recorder lost power
oversize-riff     more than 4 GiB behind a header that cannot so far
truncated         the header promises more than the file holds
damaged           decoding stopped in the middle
internal          an unexpected error in dawnchorus; its cause is kept
================= =======================================================================

The four before the last are errors only where no sound can be had. Otherwise they are the first
word of `Recording.damage`. Sound that decodes well and still cannot be right (absurd levels) is the
matter of `dawnchorus.audio.levels`.

soundfile and av are imported in this package only. It must not know models, windows or results.
Start reading at ``read`` (the door), then ``recording`` (what comes out). ``libsndfile`` and
``pyav`` are the two decoders. libsndfile reads in one of two ways: ``recovery`` where a seek is
exact, ``sequential`` elsewhere. The other modules know one format each.
"""
