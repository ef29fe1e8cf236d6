"""The only decoders: recordings of any format as blocks of samples, damaged ones included."""
