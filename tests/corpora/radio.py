#!/usr/bin/env python3
"""Recorded radio (UWB ranges and time differences, BLE strengths) as a site folder, import CSVs and a truth CSV.

    python3 radio.py SITE_KIND OUTDIR CORPORA [--file NAME] [--map] [--late SECONDS] [--clock SECONDS]

    util     uwb_util: time differences of a small drone under 8 anchors; truth by motion capture
    cuhksz   uwb_cuhksz_planar: 24 ranges of three tags on a trolley to 8 anchors in one plane; truth by motion capture
    ble      ble_position_annotated: strengths of one beacon at 12 receivers; truth by markers on the ceiling
    flat     ble_uwb_flat: strengths of one beacon at 6 receivers in a flat; truth by a robot's laser, rooms by layout

OUTDIR then holds a site, the tables to import (range.csv, tdoa.csv, rssi.csv, location.csv), truth.csv (t,device,x,y,z or
t,device,x,y,room) and, for strengths, nearest.csv: the place of the receiver that heard the beacon loudest in the last
1.5 s, which is what a tracker must beat. One line of JSON says what was written; where CORPORA lacks the recording, one
line says so and nothing is written.

--map puts a radio map into the site: of `ble` the survey that comes with it, of `flat` its first run (the others are then
written as the recording). --late delays every row by up to so many seconds, evenly at random by a fixed seed, and gives
it an arrival. --clock sets the clocks of the ranging anchors back by so many seconds against the truth's.

Of `flat` the first run is taken as the installer's walk: the path-loss law of each receiver is fitted to it, and only the
runs after it are written. The corpora stay where they are: their licences differ. Python's standard library only.
"""
import argparse, ast, bisect, csv, gzip, json, math, os, random, re, sys

FILES = {"util": "apr25_tdoa2_traj1", "cuhksz": "fast", "ble": "straight_01", "flat": "calibration_df"}
FOLDERS = {"util": "uwb_util", "cuhksz": "uwb_cuhksz_planar", "ble": "ble_position_annotated", "flat": "ble_uwb_flat"}
NEAREST_S = 1.5            # how long a receiver's last report counts for the nearest-receiver baseline
RUN_GAP_S = 60.0           # a longer silence parts two runs
ROBOT_M = 0.4              # height of the flat's beacon above the floor (the robot's)


def lines(path):
    with gzip.open(path, "rt") as text:
        return text.read().splitlines()


def table(path):
    return list(csv.DictReader(lines(path) if path.endswith(".gz") else open(path).read().splitlines()))


def util(folder, name, _):
    anchors = {r["anchor"]: tuple(float(r[k]) for k in ("x_m", "y_m", "z_m")) for r in table(os.path.join(folder, "anchors_apr25.csv"))}
    rows = [(float(r["t_s"]), "a" + r["idA"], "a" + r["idB"], "tag", r["distanceDiff"]) for r in table(os.path.join(folder, name + "_estTDOA.csv.gz"))]
    truth = [(float(r["t_s"]), "tag", float(r["locSrv.x"]), float(r["locSrv.y"]), float(r["locSrv.z"])) for r in table(os.path.join(folder, name + "_estPose.csv.gz"))]
    sensors = [("a" + k, "tdoa", at, dict(sigma_m=0.2)) for k, at in anchors.items()]
    return dict(sensors=sensors, tables={"tdoa": ("t_s,sensor_a,sensor_b,device,diff_m", rows)}, truth=truth, rooms=[])


def clock(text):
    """Seconds of the day of `2022-08-15 9:42:24.766`."""
    hours, minutes, seconds = text.split(" ")[1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def turned(q, v):
    """A vector turned by the quaternion (w, x, y, z)."""
    w, u = q[0], q[1:]
    cross = lambda a, b: (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    once = cross(u, v)
    twice = cross(u, once)
    return [v[i] + 2 * (w * once[i] + twice[i]) for i in range(3)]


def cuhksz(folder, name, args):
    ranges = [l.split(",") for l in lines(os.path.join(folder, f"UWB_dynamic_exp_{name}.csv.gz"))]
    zero = clock(ranges[0][0])
    anchors = [tuple(float(r[k]) for k in ("x_m", "y_m", "z_m")) for r in table(os.path.join(folder, "anchors.csv"))]
    tags = [[float(r[k]) for k in ("x_body_m", "y_body_m", "z_body_m")] for r in table(os.path.join(folder, "tags.csv"))]
    rows = [(clock(r[0]) - zero + args.clock, f"a{i // 3}", f"t{i % 3}", v) for r in ranges for i, v in enumerate(r[1:25]) if v]
    truth = []
    for line in lines(os.path.join(folder, f"motion_capture_dynamic_exp_{name}.csv.gz"))[1:]:
        cells = line.split(",")
        try:
            v = [float(c) for c in cells[1:8]]
        except ValueError:
            continue
        for i, (x, y, z) in enumerate(tags):
            # Fitted to the ranges, the tags stand where tags.csv says once its y and z point the other way (the reported
            # quaternions hold half a turn about x): residuals fall from 0.07 to 0.04 m.
            arm = turned(v[3:], (x, -y, -z))
            truth.append((clock(cells[0]) - zero, f"t{i}", *(v[k] + arm[k] for k in range(3))))
    # Another system that locates the tags ten times a second: what the anchors' clocks and biases are compared with.
    fixes, due = [], {}
    for t, device, x, y, _ in truth:
        if t >= max(due.get(device, 0.0), 0.0):
            due[device] = t + 0.1
            fixes.append((t, "mocap", device, f"{x:.4f}", f"{y:.4f}"))
    sensors = [(f"a{i}", "range", at, dict(sigma_m=0.1, nlos_p=0.05, nlos_scale_m=0.5)) for i, at in enumerate(anchors)]
    sensors.append(("mocap", "location", (0.0, 0.0, 2.5), dict(sigma_m=0.02)))
    tables = {"range": ("t_s,sensor,device,range_m", rows), "location": ("t_s,sensor,device,x_m,y_m", fixes)}
    return dict(sensors=sensors, tables=tables, truth=truth, rooms=[])


def fitted(points):
    """Least squares of strength over -10 log10 of the distance: (tx_dbm_1m, exponent, sigma_db)."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    offset = mean_y - slope * mean_x
    return offset, slope, math.sqrt(sum((y - offset - slope * x) ** 2 for x, y in points) / n)


def ble(folder, name, args):
    text = open(os.path.join(folder, "env", "cnf_tetam.dev")).read()
    receivers = {k: v[0] for k, v in json.loads(re.search(r"Dongles:(\{.*?\})\s", text + "\n").group(1)).items()}
    rows, truth = [], []
    reports = [l.split(",") for l in lines(os.path.join(folder, f"{name}_all_sensors.mbd.gz"))]
    zero = min(float(r[0]) for r in reports)
    for r in reports:
        t = float(r[0]) - zero
        rows.append((t, "r" + r[1], "tag", r[3]))
        truth.append((t, "tag", float(r[4]), float(r[5]), float(r[6])))
    truth.sort()
    survey = []
    if args.map:
        head = lines(os.path.join(folder, "env", "hst_set_1.hst.gz"))
        bins, prints = (json.loads(head[i].split(":", 1)[1]) for i in (0, 3))
        for place, heard in prints.items():
            x, y, _ = ast.literal_eval(place)
            for receiver, beacons in heard.items():
                for histogram in beacons.values():
                    mass = sum(histogram)
                    if mass > 0:
                        mean = sum(dbm * p for dbm, p in zip(bins, histogram)) / mass
                        survey.append(("r" + receiver, x, y, mean))
    noise = dict(tx_dbm_1m=-59.0, exponent=2.0, sigma_db=6.0)
    sensors = [("r" + k, "rssi", tuple(at), noise) for k, at in sorted(receivers.items())]
    return dict(sensors=sensors, tables={"rssi": ("t_s,sensor,device,rssi_dbm", rows)}, truth=truth, rooms=[], survey=survey,
                box=(0.0, 0.0, 20.7, 17.7))


def flat(folder, name, args):
    anchors = [tuple(float(r[k]) for k in ("x", "y", "z")) for r in table(os.path.join(folder, "anchors.csv"))]
    rooms = [(r["room"], float(r["x0"]), float(r["y0"]), float(r["x1"]), float(r["y1"])) for r in table(os.path.join(folder, "rooms_suggested_DERIVED.csv"))]
    room_of = [r["room"] for r in table(os.path.join(folder, "room_truth_calibration_DERIVED.csv.gz"))]
    reports = table(os.path.join(folder, name + ".csv.gz"))
    times = [int(float(r["ts"])) / 1e9 for r in reports]
    runs, run = [], 0
    for i, t in enumerate(times):
        run += bool(i and abs(t - times[i - 1]) > RUN_GAP_S)
        runs.append(run)
    heard = lambda r: [(k, float(r[f"rssi_{k + 1}"])) for k in range(6) if r[f"rssi_{k + 1}"]]
    walks, survey = [[] for _ in anchors], []
    for r, run in zip(reports, runs):
        if run == 0:
            x, y = float(r["x"]), float(r["y"])
            for k, dbm in heard(r):
                walks[k].append((-10 * math.log10(math.dist(anchors[k], (x, y, ROBOT_M))), dbm))
                if args.map:
                    survey.append((f"r{k + 1}", x, y, dbm))
    laws = [fitted(walk) for walk in walks]
    zero = next(t for t, run in zip(times, runs) if run == 1)
    rows, truth = [], []
    for r, t, run, room in zip(reports, times, runs, room_of):
        if run > 0:
            truth.append((t - zero, "tag", float(r["x"]), float(r["y"]), room))
            rows += [(t - zero, f"r{k + 1}", "tag", f"{dbm:.2f}") for k, dbm in heard(r)]
    sensors = [(f"r{k + 1}", "rssi", at, dict(tx_dbm_1m=round(tx, 2), exponent=round(n, 3), sigma_db=round(s, 2)))
               for k, (at, (tx, n, s)) in enumerate(zip(anchors, laws))]
    return dict(sensors=sensors, tables={"rssi": ("t_s,sensor,device,rssi_dbm", rows)}, truth=truth, rooms=rooms, survey=survey,
                box=(0.0, 0.0, 9.07, 7.1))


READERS = dict(util=util, cuhksz=cuhksz, ble=ble, flat=flat)


def nearest(sensors, rows):
    """The place of the receiver that heard each device loudest within NEAREST_S, after every report."""
    places = {name: at for name, _, at, _ in sensors}
    last, out = {}, []
    for t, sensor, _, dbm in sorted(rows):
        last[sensor] = (t, float(dbm))
        recent = [(d, s) for s, (at, d) in last.items() if t - at <= NEAREST_S]
        loudest = places[max(recent)[1]]
        out.append((t, loudest[0], loudest[1]))
    return out


def site(outdir, kind, made, box):
    x0, y0, x1, y1 = box
    ring = lambda a, b, c, d: [[[a, b], [c, b], [c, d], [a, d], [a, b]]]
    polygon = lambda *corners: dict(type="Polygon", coordinates=ring(*corners))
    features = [dict(type="Feature", id="ground", feature_type="level", geometry=polygon(x0, y0, x1, y1),
                     properties=dict(category="unspecified", name="Ground", ordinal=0, elevation_m=0.0, height_m=3.5))]
    rooms = made["rooms"] or [("hall", x0, y0, x1, y1)]
    features += [dict(type="Feature", id=name, feature_type="unit", geometry=polygon(a, b, c, d),
                      properties=dict(category="room", level="ground", name=name)) for name, a, b, c, d in rooms]
    plan = ",\n".join(json.dumps(f, separators=(",", ":")) for f in features)
    people = sorted({row[1] for row in made["truth"]})
    device = ""
    for name, sort, (x, y, z), noise in made["sensors"]:
        said = dict(noise)
        if made.get("survey") and sort == "rssi":
            said["radio_map"] = "radio/survey.csv"
        device += (f'[[sensor]]\nid = "{name}"\nkind = "{sort}"\nlevel = "ground"\n'
                   f"pose = {{ x_m = {x}, y_m = {y}, z_m = {z}, heading_deg = 0.0 }}\n"
                   f"noise = {{ {', '.join(f'{k} = {json.dumps(v)}' for k, v in said.items())} }}\n\n")
    # Places by strength are a metre or two off: a room is left where that is clear.
    margins = "[zones]\nenter_margin_m = 0.2\nexit_margin_m = 0.5\nlost_s = 5.0\n" if made["rooms"] else ""
    files = {
        "site.toml": f'# Made by tests/corpora/radio.py from {FOLDERS[kind]}.\nname = "{kind}"\n{margins}',
        "floorplan.geojson": f'{{"type":"FeatureCollection","name":"{kind}","frame":"local","features":[\n{plan}\n]}}\n',
        "devices.toml": device,
        "people.toml": "".join(f'[[person]]\nid = "{p}"\ndevices = ["{p}"]\n' for p in people),
    }
    if made.get("survey"):
        rows = "".join(f"{s},{x:.3f},{y:.3f},{dbm:.2f}\n" for s, x, y, dbm in made["survey"])
        os.makedirs(os.path.join(outdir, "radio"), exist_ok=True)
        files["radio/survey.csv"] = "sensor,x_m,y_m,rssi_dbm\n" + rows
    for name, text in files.items():
        with open(os.path.join(outdir, name), "w", newline="\n") as out:
            out.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site_kind", choices=sorted(READERS))
    parser.add_argument("outdir")
    parser.add_argument("corpora")
    parser.add_argument("--file")
    parser.add_argument("--map", action="store_true")
    parser.add_argument("--late", type=float, default=0.0)
    parser.add_argument("--clock", type=float, default=0.0)
    args = parser.parse_args()
    folder = os.path.join(args.corpora, FOLDERS[args.site_kind])
    if not os.path.isdir(folder):
        print(f"skipped: {folder} is not there")
        return 0
    made = READERS[args.site_kind](folder, args.file or FILES[args.site_kind], args)
    xs = [r[2] for r in made["truth"]] + [at[0] for _, _, at, _ in made["sensors"]]
    ys = [r[3] for r in made["truth"]] + [at[1] for _, _, at, _ in made["sensors"]]
    box = made.get("box") or tuple(map(float, (math.floor(min(xs) - 1), math.floor(min(ys) - 1), math.ceil(max(xs) + 1), math.ceil(max(ys) + 1))))
    os.makedirs(args.outdir, exist_ok=True)
    site(args.outdir, args.site_kind, made, box)
    rng, said = random.Random(1), dict(kind=args.site_kind, box_m=box)
    for name, (head, rows) in made["tables"].items():
        if args.late > 0:
            rows = sorted(((r[0] + args.late * rng.random(), r) for r in rows), key=lambda late: late[0])
            head, rows = head + ",arrival_t_s", [(*r, f"{arrival:.6f}") for arrival, r in rows]
        with open(os.path.join(args.outdir, name + ".csv"), "w", newline="\n") as out:
            out.write(head + "\n")
            out.writelines(f"{r[0]:.6f}," + ",".join(r[1:]) + "\n" for r in rows)
        said[name] = len(rows)
    with open(os.path.join(args.outdir, "truth.csv"), "w", newline="\n") as out:
        out.write("t,device,x,y," + ("room" if made["rooms"] else "z") + "\n")
        out.writelines(f"{t:.6f},{d},{x:.4f},{y:.4f},{last}\n" for t, d, x, y, last in made["truth"])
    if "rssi" in made["tables"]:
        with open(os.path.join(args.outdir, "nearest.csv"), "w", newline="\n") as out:
            out.write("t,x,y\n")
            out.writelines(f"{t:.6f},{x},{y}\n" for t, x, y in nearest(made["sensors"], made["tables"]["rssi"][1]))
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
