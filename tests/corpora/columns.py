#!/usr/bin/env python3
"""Recorded people as a site folder, an import CSV and a truth CSV.

    python3 columns.py SITE_KIND OUTDIR CORPORA [--seed 1] [--file NAME]

    pets        pets09_s2l1: real detector outputs, 7 frames a second, hand-made truth
    hermes      hermes_juelich: people in a corridor, 16 a second; the recording is the truth, detections are simulated on it
    edinburgh   edinburgh_forum: an atrium, 9 a second, mostly empty; truth is an automatic tracker's, detections are simulated on it
    mmgait      mmwave_mmgait: clouds of a radar that sees one person walk; there is no truth but that it is one
    students    eth_ucy students03: a dense pavement, one minute brought to 10 a second; detections are simulated on the paths

OUTDIR then holds site.toml, floorplan.geojson, devices.toml, people.toml, position.csv (`osmose import position`: one scan a
frame, a row with empty values where the sensor saw nothing) and truth.csv (t,id,x,y, for `osmose score`); for `mmgait`
points.csv (`osmose import points`) and no truth. One line of JSON says what
was written, and whether its detections were simulated. Where CORPORA lacks the recording, one line says so and nothing is written.

The corpora stay where they are: their licences differ, so nothing of them is kept beside this script. Python's standard
library only; the same seed writes the same bytes everywhere.
"""
import argparse, csv, gzip, json, math, os, random, sys

# What each recording is, and what its sensor does. `noise` drives the simulated detections and goes into devices.toml;
# that of `pets` was measured (detections matched to truth within 2 m).
KINDS = {
    "pets": dict(folder="pets09_s2l1", file="det_sort_frcnn.txt", rate_hz=7.0, sensor="camera-1", simulated=False,
                 noise=dict(sigma_m=0.36, p_detect=0.88, clutter_per_scan=0.35)),
    "hermes": dict(folder="hermes_juelich", file="boa-300-065-105.txt.gz", rate_hz=16.0, sensor="ceiling-1", simulated=True,
                   noise=dict(sigma_m=0.1, p_detect=0.95, clutter_per_scan=0.2)),
    "edinburgh": dict(folder="edinburgh_forum", file="tracks_01Aug.csv.gz", rate_hz=9.0, sensor="ceiling-1", simulated=True,
                      noise=dict(sigma_m=0.1, p_detect=0.95, clutter_per_scan=0.05)),
    # p_detect and clutter: of the clusters, by hand from the first minute of each file.
    "mmgait": dict(folder="mmwave_mmgait", file="room2_1_free_route_77Ghz_radar_089.csv.gz", rate_hz=10.0, sensor="radar-1",
                   simulated=False, sensor_kind="points", noise=dict(sigma_m=0.2, p_detect=0.95, clutter_per_scan=0.5)),
    "students": dict(folder="eth_ucy", file="students03.csv.gz", rate_hz=10.0, sensor="mast-1", simulated=True,
                     noise=dict(sigma_m=0.3, p_detect=0.9, clutter_per_scan=5.0)),
}
LEVEL = "ground"
MARGIN_M = 1.0                       # of the level around all that was ever seen
COLUMNS, ROWS = "abc", "12"          # zones: a grid over the level, named a1 ... c2, and one fence in its middle


# Readers: each returns (truth, detections or None, frames), truth and detections as {frame: rows}, rows (id, x_m, y_m) and (x_m, y_m).
# `frames` is every frame that the sensor looked at, whether or not it saw anybody.

def read_pets(folder, kind):
    """frame,id,left,top,w,h,conf,x_m,y_m,z; id is -1 in detections; frames count from 1."""
    truth, detections = {}, {}
    for name, rows in (("gt.txt", truth), (kind["file"], detections)):
        with open(os.path.join(folder, name)) as lines:
            for cells in csv.reader(lines):
                row = (cells[1], float(cells[7]), float(cells[8]))
                rows.setdefault(int(cells[0]), []).append(row if rows is truth else row[1:])
    return truth, detections, range(1, max(max(truth), max(detections)) + 1)


def read_hermes(folder, kind):
    """ID FRAME X Y Z, centimetres."""
    truth = {}
    with gzip.open(os.path.join(folder, kind["file"]), "rt") as lines:
        for line in lines:
            person, frame, x_cm, y_cm, _ = line.split()
            truth.setdefault(int(frame), []).append((person, float(x_cm) / 100, float(y_cm) / 100))
    return truth, None, range(min(truth), max(truth) + 1)


def read_edinburgh(folder, kind):
    """frame,track,x_px,y_px,x_m,y_m; a track that stands twice in a frame (13 do) counts with its first row."""
    truth, seen = {}, set()
    with gzip.open(os.path.join(folder, kind["file"]), "rt") as lines:
        for row in csv.DictReader(lines):
            frame = int(row["frame"])
            if (frame, row["track"]) not in seen:
                seen.add((frame, row["track"]))
                truth.setdefault(frame, []).append((row["track"], float(row["x_m"]), float(row["y_m"])))
    return truth, None, range(min(truth), max(truth) + 1)


def read_students(folder, kind, first_s=60.0, last_s=120.0, recorded_fps=25.0):
    """frame,ped,x_m,y_m at 2.5 Hz, as tenths of a second by linear interpolation, from one minute on for one minute."""
    paths = {}
    with gzip.open(os.path.join(folder, kind["file"]), "rt") as lines:
        for row in csv.DictReader(lines):
            place = (float(row["frame"]) / recorded_fps, float(row["x_m"]), float(row["y_m"]))
            paths.setdefault(row["ped"], []).append(place)
    rows = []
    for person, path in paths.items():
        path.sort()
        for (t0, x0, y0), (t1, x1, y1) in zip(path, path[1:]):
            tenth = math.ceil(round(t0 * 1000) / 100)
            while tenth * 0.1 < t1 - 1e-9:
                t, tenth = tenth * 0.1, tenth + 1
                share = (t - t0) / (t1 - t0)
                if share >= -1e-9 and first_s <= t < last_s:
                    rows.append((round((t - first_s) * 10), person, x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
    truth = {}
    for frame, person, x_m, y_m in sorted(rows):
        truth.setdefault(frame, []).append((person, x_m, y_m))
    return truth, None, range(0, round((last_s - first_s) * 10))


def read_mmgait(folder, kind):
    """Frame #,# Obj,X,Y,Z,Doppler,Intensity,date and time; metres, y away from the radar. Returns {frame: points}.

    Frames count from the radar's start; rows left over from another run stand at either end of two files, a thousand frames
    off: the longest stretch without such a gap is the recording. Frames without a row are clouds of nothing. The host's times
    jitter by a frame or two and go back once, so the frame's number is the time.
    """
    clouds = {}
    with gzip.open(os.path.join(folder, kind["file"]), "rt") as lines:
        rows = csv.reader(lines)
        next(rows)
        for row in rows:
            clouds.setdefault(int(row[0]), []).append(tuple(float(cell) for cell in row[2:7]))
    frames = sorted(clouds)
    stretches, begun = [], 0
    for i in range(1, len(frames) + 1):
        if i == len(frames) or frames[i] - frames[i - 1] > 100:
            stretches.append((i - begun, begun, i))
            begun = i
    _, first, end = max(stretches)
    return clouds, range(frames[first], frames[end - 1] + 1)


READERS = dict(pets=read_pets, hermes=read_hermes, edinburgh=read_edinburgh, students=read_students)


def poisson(rng, mean):
    """A Poisson number by Knuth's product of uniforms; the means here are small."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count


def simulate(rng, truth, frames, noise, box):
    """Detections as a position sensor makes them: some people missed, Gaussian noise, uniform clutter, in no order."""
    x0, y0, x1, y1 = box
    detections = {}
    for frame in frames:
        seen = [(rng.gauss(x, noise["sigma_m"]), rng.gauss(y, noise["sigma_m"]))
                for _, x, y in truth.get(frame, []) if rng.random() < noise["p_detect"]]
        seen += [(rng.uniform(x0, x1), rng.uniform(y0, y1)) for _ in range(poisson(rng, noise["clutter_per_scan"]))]
        rng.shuffle(seen)
        # What the noise carries over the edge of the level lies outside the sensor's view.
        detections[frame] = [(x, y) for x, y in seen if x0 <= x <= x1 and y0 <= y <= y1]
    return detections


def bounds(truth, detections):
    """The level's box: all truth and all recorded detections, a margin around, on whole metres."""
    places = [row[-2:] for rows in (truth, detections or {}) for frame in rows.values() for row in frame]
    xs, ys = [x for x, _ in places], [y for _, y in places]
    low = [float(math.floor(min(v) - MARGIN_M)) for v in (xs, ys)]
    high = [float(math.ceil(max(v) + MARGIN_M)) for v in (xs, ys)]
    return *low, *high


def write_tables(outdir, kind, truth, detections, frames):
    """truth.csv and position.csv; returns how many scans, empty scans, detections and truth rows they hold."""
    def seconds(frame):
        # Both files take their times from here, so that they meet in the score; 0 is the first frame.
        return f"{(frame - frames[0]) / kind['rate_hz']:.6f}"
    counts = dict(scans=len(frames), empty_scans=0, detections=0, truth_rows=0)
    with open(os.path.join(outdir, "position.csv"), "w", newline="\n") as out:
        out.write("t_s,sensor,x_m,y_m\n")
        for frame in frames:
            rows = detections.get(frame, [])
            counts["detections"] += len(rows)
            counts["empty_scans"] += not rows
            for x_m, y_m in rows:
                out.write(f"{seconds(frame)},{kind['sensor']},{x_m:.4f},{y_m:.4f}\n")
            if not rows:
                out.write(f"{seconds(frame)},{kind['sensor']},,\n")
    with open(os.path.join(outdir, "truth.csv"), "w", newline="\n") as out:
        out.write("t,id,x,y\n")
        for frame in sorted(truth):
            counts["truth_rows"] += len(truth[frame])
            for person, x_m, y_m in truth[frame]:
                out.write(f"{seconds(frame)},{person},{x_m:.4f},{y_m:.4f}\n")
    return counts


def write_points(outdir, kind, clouds, frames):
    counts = dict(scans=len(frames), empty_scans=0, points=0)
    with open(os.path.join(outdir, "points.csv"), "w", newline="\n") as out:
        out.write("t_s,sensor,x_m,y_m,z_m,doppler_mps,intensity\n")
        for frame in frames:
            seconds = f"{(frame - frames[0]) / kind['rate_hz']:.6f}"
            rows = clouds.get(frame, [])
            counts["points"] += len(rows)
            counts["empty_scans"] += not rows
            for x, y, z, doppler, intensity in rows:
                out.write(f"{seconds},{kind['sensor']},{x},{y},{z},{doppler},{intensity}\n")
            if not rows:
                out.write(f"{seconds},{kind['sensor']},,,,,\n")
    return counts


def ring(x0, y0, x1, y1):
    return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]]


def feature(name, feature_type, properties, box):
    return dict(type="Feature", id=name, feature_type=feature_type, properties=properties,
                geometry=dict(type="Polygon", coordinates=ring(*box)))


def floor_plan(name, box):
    """One level over the whole box, a grid of units on it, and a fence over the middle third."""
    x0, y0, x1, y1 = box
    xs = [round(x0 + (x1 - x0) * i / len(COLUMNS), 2) for i in range(len(COLUMNS) + 1)]
    ys = [round(y0 + (y1 - y0) * i / len(ROWS), 2) for i in range(len(ROWS) + 1)]
    level = dict(category="unspecified", name="Ground", ordinal=0, elevation_m=0.0, height_m=3.0)
    features = [feature(LEVEL, "level", level, box)]
    for i, column in enumerate(COLUMNS):
        for j, row in enumerate(ROWS):
            properties = dict(category="walkway", level=LEVEL, name=f"Area {column.upper()}{row}")
            features.append(feature(column + row, "unit", properties, (xs[i], ys[j], xs[i + 1], ys[j + 1])))
    third_m = (y1 - y0) / 3
    fence = (xs[1], round(y0 + third_m, 2), xs[2], round(y1 - third_m, 2))
    features.append(feature("middle", "geofence", dict(category="geofence", level=LEVEL, name="Middle"), fence))
    rows = ",\n".join(json.dumps(f, separators=(",", ":")) for f in features)
    return f'{{"type":"FeatureCollection","name":"{name}","frame":"local","features":[\n{rows}\n]}}\n'


def write_site(outdir, name, kind, box):
    x0, y0, x1, y1 = box
    noise, source = kind["noise"], f"{kind['folder']}/{kind['file']}"
    what = "simulated on the recorded paths of" if kind["simulated"] else "the recorded detections of"
    files = {
        "site.toml": f'# Made by tests/corpora/columns.py from {source}.\nname = "{name}"\n',
        "floorplan.geojson": floor_plan(name, box),
        "devices.toml": (
            f"# One sensor over the whole level; its detections are {what} {source}.\n"
            f'[[sensor]]\nid = "{kind["sensor"]}"\nkind = "{kind.get("sensor_kind", "position")}"\nlevel = "{LEVEL}"\n'
            f"pose = {{ x_m = {(x0 + x1) / 2}, y_m = {(y0 + y1) / 2}, z_m = 2.8, heading_deg = 0.0 }}\n"
            'coordinates = "site"\n'
            f"noise = {{ sigma_m = {noise['sigma_m']}, p_detect = {noise['p_detect']}, "
            f"clutter_per_scan = {noise['clutter_per_scan']} }}\n"
            f'class = "state"\nrate_hz = {kind["rate_hz"]}\nclock = "device"\n'
            'connect = { udp = "127.0.0.1:7801", format = "osmose" }\n'),
        "people.toml": "# Nobody in this recording is known by name.\n",
    }
    for file, text in files.items():
        with open(os.path.join(outdir, file), "w", newline="\n") as out:
            out.write(text)


def check(truth, frames):
    """A recording that breaks these would score as nonsense without a word."""
    for frame, rows in truth.items():
        assert frame in frames, f"frame {frame} has truth but no scan"
        assert len({row[0] for row in rows}) == len(rows), f"frame {frame} names a person twice"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site_kind", choices=sorted(KINDS))
    parser.add_argument("outdir")
    parser.add_argument("corpora")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated detections")
    parser.add_argument("--file", help="another file of the same folder")
    args = parser.parse_args()
    kind = dict(KINDS[args.site_kind])
    kind["file"] = args.file or kind["file"]
    folder = os.path.join(args.corpora, kind["folder"])
    if not os.path.exists(os.path.join(folder, kind["file"])):
        print(f"skipped: {os.path.join(folder, kind['file'])} is not there")
        return 0
    if args.site_kind == "mmgait":
        clouds, frames = read_mmgait(folder, kind)
        points = [point for frame in frames for point in clouds.get(frame, [])]
        box = bounds({0: [(None, x, y) for x, y, *_ in points]}, None)
        os.makedirs(args.outdir, exist_ok=True)
        write_site(args.outdir, args.site_kind, kind, box)
        said = dict(kind=args.site_kind, source=f"{kind['folder']}/{kind['file']}")
        said.update(write_points(args.outdir, kind, clouds, frames), box_m=box)
        print(json.dumps(said))
        return 0
    truth, detections, frames = READERS[args.site_kind](folder, kind)
    check(truth, frames)
    box = bounds(truth, detections)
    if kind["simulated"]:
        detections = simulate(random.Random(args.seed), truth, frames, kind["noise"], box)
    os.makedirs(args.outdir, exist_ok=True)
    write_site(args.outdir, args.site_kind, kind, box)
    said = dict(kind=args.site_kind, source=f"{kind['folder']}/{kind['file']}",
                detections_are="simulated" if kind["simulated"] else "recorded")
    said.update(write_tables(args.outdir, kind, truth, detections, frames))
    people = {row[0] for rows in truth.values() for row in rows}
    said.update(people=len(people), most_at_once=max(map(len, truth.values())),
                seconds=round(len(frames) / kind["rate_hz"], 3), box_m=box)
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
