"""The page and its server: http://127.0.0.1:7860 in a browser, or curl (http://127.0.0.1:7860/docs).

python app.py                      (make app installs what it needs first)
python app.py --port 8000          or the variable PORT
CASCADE_TOKEN=... python app.py --host 0.0.0.0     for others too, who need the token
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path

PORT = 7860
PATIENCE_SECONDS = 2  # with pages that are open when the server ends
NEEDED, OF_THE_PAGE = ("fastapi", "multipart", "uvicorn"), ("gradio",)


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=os.environ.get("PORT") or PORT, help=f"[PORT, or {PORT}]")
    parser.add_argument("--host", default="127.0.0.1", help="any but the loopback address needs CASCADE_TOKEN")
    parser.add_argument(
        "--outputs", type=Path, default=Path("outputs"), help="where jobs and meshes are kept [outputs]"
    )
    parser.add_argument("--most-waiting", type=int, default=64, metavar="N", help="jobs in the queue [64]")
    parser.add_argument("--no-page", action="store_true", help="the HTTP interface alone")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    needed = NEEDED if arguments.no_page else (*NEEDED, *OF_THE_PAGE)
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        print(f"the page needs {', '.join(missing)}; run `make app`", file=sys.stderr)
        return 2
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")  # before Gradio is imported
    from threestudio.utils.console import exit_code_of, set_up_console

    set_up_console(verbose=False)
    try:
        return serve(arguments)
    except Exception as error:
        return exit_code_of(error)


def serve(arguments: argparse.Namespace) -> int:
    import torch
    import uvicorn

    from threestudio.web.access import token_for
    from threestudio.web.application import make_application
    from threestudio.web.studio import Studio

    token = token_for(arguments.host)
    torch.set_num_threads(1)  # the cores are the jobs'
    studio = Studio(arguments.outputs, most_waiting=arguments.most_waiting)
    try:
        application = make_application(studio, token, page=not arguments.no_page)
        studio.start()
        print(
            f"http://{arguments.host}:{arguments.port} is ready; Ctrl-C ends it, and it goes on from there", flush=True
        )
        uvicorn.run(
            application,
            host=arguments.host,
            port=arguments.port,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=PATIENCE_SECONDS,
        )
    finally:
        studio.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
