"""A server of the Model Context Protocol (stdio) with one tool, which takes no arguments and says so in as few words as it may."""

import json
import sys

TIME = "half past nine by the parrot"
TOOL = {"name": "now", "description": "Tells the time.", "inputSchema": {"type": "object"}}


def answer(method, params):
    if method == "initialize":
        about = {"name": "clock", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": about}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call" and params["name"] == "now":
        is_bare = not params.get("arguments")
        return {"content": [{"type": "text", "text": TIME if is_bare else "No arguments, please."}], "isError": not is_bare}
    return {} if method == "ping" else None


def main():
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        result = answer(message["method"], message.get("params", {}))
        said = {"error": {"code": -32601, "message": "no such method"}} if result is None else {"result": result}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **said}), flush=True)


if __name__ == "__main__":
    main()
