"""A pool of two processes squares integers; prints the rate as one line of JSON.

    python3 pool.py map|imap CHUNKSIZE ITEMS

CHUNKSIZE 0 is the default of `map`. Starting the pool is not part of the time.
"""
import json
import multiprocessing
import sys
import time


def square(x):
    return x * x


def main():
    call, chunksize, items = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with multiprocessing.Pool(2) as pool:
        pool.map(square, range(100))
        begin = time.perf_counter()
        if call == "map":
            results = pool.map(square, range(items), chunksize or None)
        else:
            results = list(pool.imap(square, range(items), chunksize or 1))
        seconds = time.perf_counter() - begin
    assert sum(results) == sum(i * i for i in range(items))
    print(json.dumps({"call": call, "items": items, "seconds": seconds, "rate": items / seconds}))


if __name__ == "__main__":
    main()
