"""A number goes to another process and comes back, again and again; prints how long that takes.

    python3 channel.py queue|pipe COUNT

One line of JSON: the seconds below which 50 %, 99 % and 99.9 % of the round trips stay.
"""
import json
import multiprocessing
import sys
import time


def echo_queue(there, back):
    while (item := there.get()) is not None:
        back.put(item)


def echo_pipe(end):
    while (item := end.recv()) is not None:
        end.send(item)


def main():
    kind, count = sys.argv[1], int(sys.argv[2])
    if kind == "queue":
        there, back = multiprocessing.Queue(), multiprocessing.Queue()
        child = multiprocessing.Process(target=echo_queue, args=(there, back))
        put, get = there.put, back.get
    else:
        mine, theirs = multiprocessing.Pipe()
        child = multiprocessing.Process(target=echo_pipe, args=(theirs,))
        put, get = mine.send, mine.recv
    child.start()
    for i in range(100):
        put(i)
        get()
    times = []
    for i in range(count):
        begin = time.perf_counter()
        put(i)
        get()
        times.append(time.perf_counter() - begin)
    put(None)
    child.join()
    times.sort()
    part = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    print(json.dumps({key: times[int(count * share)] for key, share in part.items()}))


if __name__ == "__main__":
    main()
