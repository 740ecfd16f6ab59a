"""Import it before torch: its threads wait as the command line lets them, for some microseconds.

Otherwise they still spin when another engine begins, on the cores that it needs.
"""

from resnext.cli.openmp import limit_spinning

limit_spinning()
