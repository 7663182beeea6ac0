#!/usr/bin/env python3
"""Has a real server write what a replica reads and what a restart reads: ./capture.py <name> <server>

Makes ../stream/<name>-disk and -diskless (the primary's answers from +FULLRESYNC on: a snapshot by length, or up to a mark, then
commands), and ../aof/<name>/ (manifest, base, increment).
"""
import os, shutil, socket, subprocess, sys, tempfile, time

name, server = sys.argv[1], os.path.realpath(sys.argv[2])
here = os.path.dirname(os.path.realpath(__file__))
port = int(os.environ.get("PORT", "7651"))
DATA = [b"SET text hello", b"SET n 12345", b"RPUSH list a 1 -7", b"SADD ints 1 2 3", b"SADD words a b 3", b"HSET hash name value n 1",
        b"ZADD zset 1.5 a -inf b", b"PEXPIREAT hash 4102444800000", b"SELECT 3", b"SET elsewhere yes", b"SELECT 0"]
LATER = [b"INCR n", b"MULTI", b"RPUSH list b", b"SREM words a", b"EXEC", b"SELECT 3", b"SET later yes PXAT 4102444800000", b"SELECT 0", b"DEL text"]


def connect():
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            time.sleep(0.01)


def ask(connection, lines):
    for line in lines:
        connection.sendall(line + b"\r\n")
        connection.recv(65536)


def run(*options):
    work = tempfile.mkdtemp()
    process = subprocess.Popen([server, "--port", str(port), "--bind", "127.0.0.1", "--dir", work, "--save", "", *options],
                               stdout=subprocess.DEVNULL)
    client = connect()
    ask(client, DATA)
    return work, process, client


def stream(kind, option):
    work, process, client = run("--repl-diskless-sync", option, "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1000")
    replica = connect()
    ask(replica, [b"REPLCONF capa eof capa psync2", b"REPLCONF version 9.1.2"])
    replica.sendall(b"PSYNC ? -1\r\n")
    got, sent = b"", False
    replica.settimeout(0.5)
    while True:
        try:
            got += replica.recv(65536)
        except TimeoutError:
            if sent:
                break
            replica.sendall(b"REPLCONF ACK 0\r\n")
            ask(client, LATER)
            sent = True
    process.kill()
    process.wait()
    shutil.rmtree(work)
    with open(f"{here}/{name}-{kind}", "wb") as out:
        out.write(got)


stream("disk", "no")
stream("diskless", "yes")
work, process, client = run("--appendonly", "yes")
ask(client, [b"BGREWRITEAOF"])
while b"aof_rewrite_in_progress:1" in (client.sendall(b"INFO persistence\r\n"), client.recv(65536))[1]:
    time.sleep(0.05)
ask(client, LATER)
process.terminate()
process.wait()
shutil.rmtree(f"{here}/../aof/{name}", ignore_errors=True)
shutil.copytree(f"{work}/appendonlydir", f"{here}/../aof/{name}")
shutil.rmtree(work)
