"""The library with fitting and training. Nothing to import: boltzdrift finds it here, and libtorch in the
package torch.
"""
