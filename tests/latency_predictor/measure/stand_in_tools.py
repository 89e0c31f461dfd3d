"""Stand-in for Xcode's `xcrun`, `devicectl`, `xcodebuild` and macOS's `sw_vers`, and for the phone.

The first argument names the tool. The stand-in also plays coremltools' runner app on the phone. The
commands and messages are those that coremltools 9.0 sends and reads (remote_device.py). The folder
STAND_IN holds `phone.json`, the properties of the phone, and the files that are copied to it.
"""

import itertools
import json
import os
import shutil
import sys
from pathlib import Path

STATE = Path(os.environ["STAND_IN"])
SLOW_FIRST_NS = 9_000_000
PREDICT_NS = [2_000_000, 4_000_000, 3_000_000]
LOAD_NS = 250_000_000


def main() -> None:
    called, arguments = Path(sys.argv[1]), sys.argv[2:]
    tool = called.name
    with (STATE / "calls.txt").open("a") as log:
        log.write(f"{tool} {' '.join(arguments)}\n")
    if tool == "xcrun" and arguments[0] == "--find":
        print(called.parent / arguments[1])
    elif tool == "sw_vers":
        print("15.1")
    elif tool == "xcodebuild":
        xcodebuild(arguments)
    else:
        devicectl(arguments[1:] if tool == "xcrun" else arguments)


def xcodebuild(arguments: list[str]) -> None:
    if arguments == ["-version"]:
        print("Xcode 16.1\nBuild version 16B40")
        return
    settings = dict(word.split("=", 1) for word in arguments if "=" in word)
    assert settings["DEVELOPMENT_TEAM"] == "TEAM123"
    (Path(settings["SYMROOT"]) / "Release-iphoneos/modelrunner.app").mkdir(parents=True)


def devicectl(words: list[str]) -> None:
    options = dict(itertools.pairwise(words))
    if words[:2] == ["list", "devices"]:
        result = {"devices": json.loads((STATE / "phone.json").read_text())}
    elif words[:3] == ["device", "install", "app"]:
        application = {"bundleID": "com.coremltools.modelrunnerd", "databaseUUID": "D"}
        result = {"installedApplications": [application]}
    elif words[:3] == ["device", "process", "launch"]:
        sys.stdin.read()  # as long as the session lasts
        return
    else:
        result = copy(words[2], options["--source"], options["--destination"])
    reply = options.get("-j") or options["--json-output"]
    Path(reply).write_text(json.dumps({"result": result}))


def copy(direction: str, source: str, destination: str) -> dict:
    if direction == "from":
        shutil.copyfile(STATE / source, destination)
    else:
        target = STATE / destination
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if Path(source).is_dir() else shutil.copyfile)(source, target)
        if "/messages/" in destination:
            answer(json.loads(target.read_text()))
    return {"source": source, "destination": destination}


def answer(message: dict) -> None:
    """The runner app's reply to one message."""
    parameters, folder = message["params"], STATE / "Documents/modelrunnerd/responses"
    response = {"id": message["id"], "result": {"modelID": parameters["modelID"]}}
    result, method = response["result"], message["method"]
    (folder / message["id"]).mkdir(parents=True)
    resources = STATE / "Documents/modelrunnerd/requests/resources" / message["id"]
    if method == "MLModelService.Load":
        package = resources / message["resource"]
        assert (package / "Data/com.apple.CoreML/model.mlmodel").is_file()
        shutil.copytree(package, STATE / "loaded" / parameters["modelID"])
        result["duration"] = LOAD_NS
    elif method == "MLModelService.Prediction":
        result |= predict(parameters, resources / message["resource"])
        (folder / message["id"] / "outputs.bin").write_bytes(bytes(2))
        response["resource"] = "outputs.bin"
    elif method == "MLModelService.ComputePlan":
        result["infos"] = json.loads((STATE / "plan.json").read_text())
    elif method == "MLModelService.Unload":
        shutil.rmtree(STATE / "loaded" / parameters["modelID"])
    (folder / message["id"] / "message.json").write_text(json.dumps(response))


def predict(parameters: dict, data: Path) -> dict:
    """The result of a call. The phone disconnects at call STAND_IN_FAILS_AT of all models."""
    number = count(STATE / "loaded" / parameters["modelID"] / "calls")
    if str(count(STATE / "calls")) == os.environ.get("STAND_IN_FAILS_AT"):
        sys.exit("the phone was unplugged")
    for value in parameters["inputs"].values():
        assert value["dataType"] == "Float16"
    assert data.stat().st_size == sum(v["storage"]["size"] for v in parameters["inputs"].values())
    storage = {"offset": 0, "size": 2}
    output = {"shape": [1], "strides": [1], "dataType": "Float16", "storage": storage}
    duration = SLOW_FIRST_NS if number == 0 else PREDICT_NS[(number - 1) % len(PREDICT_NS)]
    return {"outputs": {"output_0": output}, "duration": duration}


def count(path: Path) -> int:
    """Number of earlier requests of this kind."""
    number = int(path.read_text()) if path.exists() else 0
    path.write_text(str(number + 1))
    return number


main()
