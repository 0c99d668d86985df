// Histograms as the broker counts them: buckets {le, count} whose counts hold all that is below; le null: no end.

// What has come between two looks at a histogram; the later one, if that has begun anew.
export function between(earlier, later) {
    const fits = earlier && earlier.buckets.length === later.buckets.length && earlier.count <= later.count;
    if (!fits)
        return later;
    return {...later, count: later.count - earlier.count, sum: later.sum - earlier.sum,
            buckets: later.buckets.map((bucket, i) => ({le: bucket.le, count: bucket.count - earlier.buckets[i].count}))};
}

// How many there are in each, and from where to where it goes.
export function bars(histogram) {
    let below = 0, from = 0;
    return histogram.buckets.map(({le, count}) => {
        const bar = {from, to: le, count: count - below};
        below = count;
        from = le ?? from;
        return bar;
    });
}

// The value that this share of all stays below, taken as spread evenly in its bucket; null: there are none. In the last
// bucket, where it begins.
export function percentile(histogram, share) {
    const wanted = histogram.count * share;
    let below = 0;
    for (const bar of bars(histogram)) {
        if (bar.count > 0 && below + bar.count >= wanted)
            return bar.to === null ? bar.from : bar.from + (bar.to - bar.from) * (wanted - below) / bar.count;
        below += bar.count;
    }
    return null;
}

// The bars worth a look: from the first to the last that isn't empty, at least so many.
export function span(list, least) {
    let first = list.findIndex(bar => bar.count > 0);
    let last = list.findLastIndex(bar => bar.count > 0);
    if (first < 0)
        return [];
    for (let grow = true; last - first + 1 < least && grow;) {
        grow = false;
        if (first > 0)
            first--, grow = true;
        if (last < list.length - 1)
            last++, grow = true;
    }
    return list.slice(first, last + 1);
}
