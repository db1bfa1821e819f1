"""Tracer-kinetic models: each one function, impulse response of tissue over time.

Inside: seconds, 1/s and fractions of tissue volume. The tissue curve is the convolution of the
concentration in arterial whole blood with the impulse response h(t) [1/s]; blood flow per volume of
tissue is h(0), whatever the model (`pipeline.units.flow_ml_min_g` makes it mL/min/g).
"""
