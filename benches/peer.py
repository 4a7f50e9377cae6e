#!/usr/bin/python3
"""tocsin beside what people would otherwise build: prometheus-sql-exporter, prometheus and prometheus-alertmanager, as
Debian packages them, over the same PostgreSQL in the same run.

    benches/peer.py target/release/tocsin [--reports N]

Measured: the time from a deadline to the webhook, with the peer at 15 s / 15 s / 30 s (scrape, evaluation, group wait)
and with 1 s everywhere; the database's own time that each watcher costs a minute and a cycle (pg_stat_statements, by
role); and how often somebody's phone rings when five deadlines pass 60 s apart in one category. It takes eight minutes,
mostly of waiting. Servers listen on loopback, their data lies in a temporary directory, and what was started is stopped
by its pid.
"""

import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

WITHIN_SECS = 40
STORM_EVERY_SECS = 60
STORM = 5


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Receiver:
    """Takes webhooks and notes when each category was first, and how often it was, told."""

    def __init__(self):
        self.told, self.lock = {}, threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                at = time.time()
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.end_headers()
                receiver.take(self.path.strip("/"), body, at)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, who, body, at):
        if who == "tocsin":
            if body.get("type") != "incident.ring":
                return
            categories = {case["category"] for case in body["data"]["cases"]}
        else:
            if body.get("status") != "firing":
                return
            categories = {alert["labels"]["category"] for alert in body["alerts"]}
        with self.lock:
            for category in categories:
                self.told.setdefault((who, category), []).append(at)

    def times(self, who, category):
        with self.lock:
            return list(self.told.get((who, category), []))


class Bench:
    def __init__(self, tocsin, reports):
        self.tocsin, self.reports = str(pathlib.Path(tocsin).resolve()), reports
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="tocsin-peer-"))
        self.home.chmod(0o711)
        self.running, self.receiver = [], Receiver()

    def start(self, name, arguments, **options):
        log = open(self.home / f"{name}.log", "wb")
        process = subprocess.Popen(arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **options)
        self.running.append(process)
        return process

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.running.remove(process)

    def end(self):
        for process in reversed(list(self.running)):
            self.stop(process)
        shutil.rmtree(self.home, ignore_errors=True)

    # ---- the database

    def start_postgres(self):
        bin_dir = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        data = self.home / "postgres"
        data.mkdir()
        who = {"cwd": "/"}
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(data, "postgres", "postgres")
            who.update(user="postgres", group="postgres", extra_groups=[])
        initdb = [bin_dir / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--locale=C", "-E", "UTF8"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, **who)
        self.pg_port = free_port()
        settings = ["shared_preload_libraries=pg_stat_statements", "listen_addresses=127.0.0.1",
                    f"unix_socket_directories={data}", f"port={self.pg_port}"]
        options = [part for setting in settings for part in ("-c", setting)]
        self.start("postgres", [bin_dir / "postgres", "-D", data, *options], **who)
        self.wait("PostgreSQL", lambda: self.sql("SELECT 1") == "1")
        self.sql(f"""
            CREATE EXTENSION pg_stat_statements;
            CREATE TABLE reports (id bigint PRIMARY KEY, category text NOT NULL, created_at timestamptz NOT NULL,
              responded_at timestamptz, responded_by text, updated_at timestamptz NOT NULL, body text);
            INSERT INTO reports SELECT n, 'spam', now() - n * interval '1 minute', now() - n * interval '1 minute', 'mod-1',
              now() - n * interval '1 minute', repeat('x', 200) FROM generate_series(1, {self.reports}) n;
            CREATE INDEX ON reports (updated_at, id);
            CREATE INDEX ON reports (created_at) WHERE responded_at IS NULL;
            CREATE ROLE tocsin LOGIN; CREATE ROLE exporter LOGIN;
            GRANT SELECT ON reports TO tocsin, exporter; ANALYZE reports""")

    def sql(self, text):
        url = f"postgres://postgres@127.0.0.1:{self.pg_port}/postgres"
        done = subprocess.run(["psql", url, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else done.stderr

    def file(self, number, category, deadline):
        received = deadline - WITHIN_SECS
        failed = self.sql(f"INSERT INTO reports (id, category, created_at, updated_at) VALUES "
                          f"({number}, '{category}', to_timestamp({received}), clock_timestamp())")
        assert not failed, failed

    def database_ms(self, role):
        return float(self.sql(f"SELECT coalesce(sum(total_exec_time + total_plan_time), 0) FROM pg_stat_statements s "
                              f"JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = '{role}'"))

    def wait(self, what, holds, within=60):
        until = time.time() + within
        while time.time() < until:
            try:
                if holds():
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.1)
        raise SystemExit(f"{what} is not there after {within} s; see {self.home}")

    # ---- the two watchers

    def start_tocsin(self):
        self.web_port = free_port()
        (self.home / "tocsin.toml").write_text(f'''
mode = "live"
deployment_secret_env = "SECRET"
[[sources]]
name = "reports"
url = "postgres://tocsin@127.0.0.1:{self.pg_port}/postgres"
poll = "1s"
table = "reports"
[sources.columns]
id = "id"
category = "category"
updated = "updated_at"
[sources.events]
received = "created_at"
closed = {{ column = "responded_at", by = "responded_by" }}
[sources.actors]
people = ["mod-*"]
[categories]
minor_safety = ["grooming", "p0-a", "p0-b", "p0-c", "p0-d", "p0-e", "p0-f"]
other = ["threat", "a", "b", "c", "d", "e", "f", "spam"]
[minor_safety]
targets = {{ closed = "{WITHIN_SECS}s" }}
escalation = "on-call"
[[rules]]
name = "everything else"
categories = ["*"]
priority = "P1"
targets = {{ closed = "{WITHIN_SECS}s" }}
escalation = "on-call"
[[escalations]]
name = "on-call"
steps = [{{ at = "0m", notify = ["hook"] }}]
[channels]
hook = {{ kind = "webhook", url = "http://127.0.0.1:{self.receiver.port}/tocsin", secret_env = "HOOK" }}
[store]
url = "sqlite:tocsin.db"
[web]
listen = "127.0.0.1:{self.web_port}"
''')
        variables = dict(os.environ, SECRET="a bench's deployment", HOOK="whsec_" + "A" * 43 + "=")
        self.start("tocsin", [self.tocsin, "run"], cwd=self.home, env=variables)
        self.wait("tocsin", lambda: self.get(f"http://127.0.0.1:{self.web_port}/readyz"))

    def get(self, url):
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200

    def start_peer(self, every, group_wait):
        exporter, prometheus, alertmanager = free_port(), free_port(), free_port()
        (self.home / "exporter.yml").write_text(f'''
jobs:
- name: reports
  interval: {every}
  connections: ['postgres://exporter@127.0.0.1:{self.pg_port}/postgres?sslmode=disable']
  queries:
  - name: overdue
    help: reports past their deadline
    labels: [category]
    values: [reports]
    query: |
      SELECT category, count(*)::float8 AS reports FROM reports
      WHERE responded_at IS NULL AND created_at < now() - interval '{WITHIN_SECS} seconds' GROUP BY 1
''')
        (self.home / "rules.yml").write_text('''
groups:
- name: deadlines
  rules:
  - alert: Overdue
    expr: sum by (category) (sql_overdue) > 0
''')
        (self.home / "prometheus.yml").write_text(f'''
global: {{scrape_interval: {every}, scrape_timeout: {min(int(every[:-1]), 10)}s, evaluation_interval: {every}}}
rule_files: [{self.home}/rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}
scrape_configs: [{{job_name: sql, static_configs: [{{targets: ['127.0.0.1:{exporter}']}}]}}]
''')
        (self.home / "alertmanager.yml").write_text(f'''
route: {{receiver: hook, group_by: [category], group_wait: {group_wait}}}
receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{self.receiver.port}/peer', send_resolved: false}}]}}]
''')
        data = self.home / f"peer-{every}"
        started = [
            self.start("exporter", ["prometheus-sql-exporter", f"-config.file={self.home}/exporter.yml",
                                    f"-web.listen-address=127.0.0.1:{exporter}"]),
            self.start("alertmanager", ["prometheus-alertmanager", f"--config.file={self.home}/alertmanager.yml",
                                        f"--storage.path={data}-alerts", "--cluster.listen-address=",
                                        f"--web.listen-address=127.0.0.1:{alertmanager}"]),
            self.start("prometheus", ["prometheus", f"--config.file={self.home}/prometheus.yml",
                                      f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{prometheus}"]),
        ]
        self.wait("the exporter", lambda: self.get(f"http://127.0.0.1:{exporter}/metrics"))
        self.wait("Alertmanager", lambda: self.get(f"http://127.0.0.1:{alertmanager}/-/ready"))
        self.wait("Prometheus", lambda: self.get(f"http://127.0.0.1:{prometheus}/-/ready"))
        return started

    # ---- what is measured

    def lateness(self, first, categories, patience):
        """Deadlines of these categories, each at an instant of its own; how late each watcher told of each."""
        deadlines = {}
        for number, category in enumerate(categories):
            deadlines[category] = time.time() + 12 + 7 * number + random.random() * 7
            self.file(first + number, category, deadlines[category])
        last = max(deadlines.values())
        self.wait("a notification of each", lambda: time.time() > last and all(
            self.receiver.times(who, category) for who in ("tocsin", "peer") for category in categories), patience)
        return {who: sorted(self.receiver.times(who, category)[0] - at for category, at in deadlines.items())
                for who in ("tocsin", "peer")}

    def run(self):
        self.start_postgres()
        self.start_tocsin()
        peer = self.start_peer("15s", "30s")
        rows = []
        random.seed(2020)
        storms = time.time() + 20
        for n in range(STORM):
            self.file(9_000_000 + n, "grooming", storms + n * STORM_EVERY_SECS)
            self.file(9_100_000 + n, "threat", storms + n * STORM_EVERY_SECS)
        slow = self.lateness(9_200_000, list("abc"), 200)
        rest = storms + (STORM - 1) * STORM_EVERY_SECS + 75 - time.time()
        time.sleep(max(rest - 60, 0))
        spent, began = {role: self.database_ms(role) for role in ("tocsin", "exporter")}, time.time()
        time.sleep(60)
        minutes = (time.time() - began) / 60
        cost = {role: (self.database_ms(role) - spent[role]) / minutes for role in spent}
        rings = {(who, category): len(self.receiver.times(who, category))
                 for who in ("tocsin", "peer") for category in ("grooming", "threat")}
        for process in peer:
            self.stop(process)
        self.start_peer("1s", "1s")
        time.sleep(5)
        fast = self.lateness(9_300_000, list("def"), 200)
        spent, began = self.database_ms("exporter"), time.time()
        time.sleep(30)
        fast_cost = (self.database_ms("exporter") - spent) / (time.time() - began) * 60

        def shown(seconds):
            least, most = min(seconds), max(seconds)
            return f"{least:.1f} to {most:.1f} s" if most >= 1 else f"{least * 1e3:.0f} to {most * 1e3:.0f} ms"

        for row in [
            ("", "tocsin", "peer, 15 s / 15 s / 30 s", "peer, 1 s everywhere"),
            ("deadline to webhook, of three each", shown(slow["tocsin"] + fast["tocsin"]), shown(slow["peer"]), shown(fast["peer"])),
            ("database time a cycle", f"{cost['tocsin'] / 60:.2f} ms", f"{cost['exporter'] / 4:.2f} ms", f"{fast_cost / 60:.2f} ms"),
            ("database time a minute", f"{cost['tocsin']:.1f} ms", f"{cost['exporter']:.1f} ms", f"{fast_cost:.1f} ms"),
            ("five breaches 60 s apart, minor safety: notifications", rings["tocsin", "grooming"], rings["peer", "grooming"], "-"),
            ("five breaches 60 s apart, anything else: notifications", rings["tocsin", "threat"], rings["peer", "threat"], "-"),
        ]:
            print("| " + " | ".join(str(cell) for cell in row) + " |")


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--reports"]
    if not arguments:
        raise SystemExit(__doc__)
    bench = Bench(arguments[0], int(arguments[1]) if len(arguments) > 1 else 100_000)
    try:
        bench.run()
    finally:
        bench.end()


if __name__ == "__main__":
    main()
