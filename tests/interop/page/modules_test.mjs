// What the page's modules reckon with, without a browser.
import assert from 'node:assert/strict';
import {readdirSync, readFileSync} from 'node:fs';
import {test} from 'node:test';

import {ApiError, path} from '../../../mgmt/web/api.js';
import * as format from '../../../mgmt/web/format.js';
import {ends, keysText, keyText, layout} from '../../../mgmt/web/graph.js';
import {bars, between, percentile, span} from '../../../mgmt/web/histogram.js';
import {address} from '../../../mgmt/web/list.js';
import {History, Rates} from '../../../mgmt/web/rates.js';

const plain = text => text.replaceAll('\u202f', ' ');

test('numbers', () => {
    assert.equal(plain(format.count(1234567)), '1 234 567');
    assert.equal(format.count(undefined), '–');
    assert.equal(format.count(NaN), '–');
    assert.deepEqual([0, 1023, 1024, 1536, 10 * 1024, 5 * 2 ** 30].map(n => plain(format.bytes(n))), ['0 B', '1023 B', '1.00 KiB', '1.50 KiB', '10.0 KiB', '5.00 GiB']);
    assert.deepEqual([0, 850, 12300, 4.5e6, 1.2e9, null].map(n => plain(format.nanoseconds(n))), ['0 ns', '850 ns', '12.3 µs', '4.50 ms', '1.20 s', '–']);
    assert.deepEqual([0, 0.25, 9, 1069, 123456, null].map(n => plain(format.rate(n))), ['0/s', '0.3/s', '9/s', '1 069/s', '123 k/s', '–']);
    assert.deepEqual([0, 59000, 61000, 90061000].map(format.milliseconds), ['0 s', '59 s', '1 min 1 s', '1 d 1 h']);
    assert.equal(format.when(0), '–');
    assert.equal(format.when(1e12), '2001-09-09 01:46:40 UTC');
    assert.equal(format.trimmed('🐦🐦🐦', 2), '🐦…');
    assert.equal(format.trimmed('abc', 3), 'abc');
});

test('rates', () => {
    const rates = new Rates();
    assert.deepEqual(rates.update('q', {publish: 10, text: 'x'}, 1000), {publish: null});
    assert.deepEqual(rates.update('q', {publish: 99}, 1100), {publish: null}, 'too soon to say something else');
    assert.deepEqual(rates.update('q', {publish: 30, ack: 5}, 3000), {publish: 10, ack: null});
    assert.deepEqual(rates.update('q', {publish: 5, ack: 5}, 4000), {publish: null, ack: 0}, 'the broker has begun anew');
    assert.deepEqual(rates.update('q', undefined, 5000), {});
    rates.keep([]);
    assert.deepEqual(rates.update('q', {publish: 6}, 6000), {publish: null});
});

test('history', () => {
    const history = new History(['a', 'b'], 60);
    history.add(100, {a: 1, b: 2});
    history.add(100, {a: 9, b: 9});
    history.add(101, {a: 3});
    history.add(120, {a: 4, b: 5});
    assert.deepEqual(history.data, [[100, 101, 102, 120], [1, 3, null, 4], [2, null, null, 5]]);
    history.add(170, {});
    assert.deepEqual(history.data[0], [120, 121, 170]);
});

const histogram = counts => ({count: counts.at(-1), sum: 0, buckets: counts.map((count, i) => ({le: i === counts.length - 1 ? null : 100 * (i + 1), count}))});

test('histograms', () => {
    const one = histogram([0, 50, 100, 100]);
    assert.deepEqual(bars(one).map(bar => [bar.from, bar.to, bar.count]), [[0, 100, 0], [100, 200, 50], [200, 300, 50], [300, null, 0]]);
    assert.equal(percentile(one, 0.5), 200);
    assert.equal(percentile(one, 0.75), 250);
    assert.equal(percentile(histogram([0, 0, 0, 4]), 0.99), 300, 'the last has no end');
    assert.equal(percentile(histogram([0, 0]), 0.5), null);
    assert.deepEqual(between(histogram([0, 10, 10, 10]), one).buckets.map(bucket => bucket.count), [0, 40, 90, 90]);
    assert.equal(between(histogram([0, 999, 999, 999]), one), one, 'it has begun anew');
    assert.equal(between(null, one), one);
    assert.deepEqual(span(bars(histogram([0, 5, 5, 5])), 3).map(bar => bar.from), [0, 100, 200]);
    assert.deepEqual(span(bars(histogram([0, 5, 5, 5])), 9).length, 4);
    assert.deepEqual(span(bars(histogram([0, 0])), 3), []);
});

test('bindings of an exchange', () => {
    const binding = (destination, routing_key, more) => ({destination, destination_type: 'queue', routing_key, arguments: {}, ...more});
    const found = ends([binding('q', 'a'), binding('r', ''), binding('q', 'b'), binding('q', 'c', {destination_type: 'exchange'})], row => row.destination, row => row.destination_type);
    assert.deepEqual(found, [{name: 'q', type: 'queue', keys: ['a', 'b']}, {name: 'r', type: 'queue', keys: ['']}, {name: 'q', type: 'exchange', keys: ['c']}]);
    assert.equal(keyText(binding('q', '', {arguments: {'x-match': 'all', n: 1}})), 'x-match=all n=1');
    assert.equal(keysText(['a', '', 'b', 'c', 'd', 'e']), 'a, b, c +2');
    for (const width of [250, 360, 1000])
        for (const left of [0, 3]) {
            const at = layout(width, left, 7);
            assert.ok(at.x.every((x, i) => i === 0 || x > at.x[i - 1] + at.widths[i - 1]), 'no column is in another');
            assert.ok(at.x.at(-1) + at.widths.at(-1) < width, 'all of it is to be seen');
        }
});

test('addresses', () => {
    assert.equal(address('queues', {page: '3', name: 'a b'}, {sort: 'messages', sort_reverse: 'true'}), '#/queues?name=a+b&sort=messages&sort_reverse=true');
    assert.equal(address('queues', {page: '3'}, {page: '1'}), '#/queues');
    assert.equal(address('queues', {}, {page: '2'}), '#/queues?page=2');
    assert.equal(path('queues', '/', 'a/b?#%'), '/api/queues/%2F/a%2Fb%3F%23%25');
    for (const name of ['.', '..'])
        assert.throws(() => path('queues', '/', name), ApiError);
});

test('what nobody here may use', () => {
    const web = new URL('../../../mgmt/web/', import.meta.url);
    const texts = readdirSync(web).filter(name => /\.(js|html|css)$/.test(name)).map(name => [name, readFileSync(new URL(name, web), 'utf8')]);
    assert.ok(texts.length > 20);
    for (const [name, text] of texts) {
        // Markup made of texts, code made of texts, styles and handlers in markup, other hosts.
        assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc/, name);
        assert.doesNotMatch(text, /<[^>]*\s(style|on\w+)=/, name);
        assert.doesNotMatch(text.replaceAll('http://www.w3.org/2000/svg', ''), /https?:\/\/|@import|url\((?!#)/, name);
        assert.ok(text.split('\n').length <= 500, `${name} is longer than 500 lines`);
    }
});
