"""`python -m simcore`."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # While modules are imported, a traceback would only tell which.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from simcore.cli.main import main

main()
