// Messages published and got.
import {el} from './dom.js';
import {exchangeWord, path, post} from './api.js';
import {ask, tell} from './dialog.js';
import {bytes, count} from './format.js';
import {exchangeName, facts, settings} from './parts.js';

// exchange: '' is the default one. key: that stands there already.
export function publish(app, vhost, exchange, key) {
    ask({
        title: exchange === '' ? `Publish to queue ${key}` : `Publish to exchange ${exchange}`, button: 'Publish', wide: true, fields: [
            {name: 'key', label: 'Routing key', value: key},
            {name: 'payload', label: 'Payload', type: 'lines', rows: 6},
            {name: 'encoding', label: 'Payload is', type: 'select', options: ['string', 'base64'], labels: {string: 'text', base64: 'base 64'}},
            {name: 'persistent', label: 'Persistent: on disk where the queue is durable', type: 'checkbox', value: true},
            {name: 'headers', label: 'Headers', type: 'json', rows: 2, hint: 'JSON, such as {"tenant": "a"}'},
            {name: 'properties', label: 'Properties', type: 'json', rows: 2, hint: 'JSON, such as {"content_type": "text/plain", "priority": 3, "expiration": "60000"}'},
        ],
        act: async values => {
            const properties = {delivery_mode: values.persistent ? 2 : 1, ...values.properties};
            if (Object.keys(values.headers).length)
                properties.headers = values.headers;
            const {routed} = await post(path('exchanges', vhost, exchangeWord(exchange), 'publish'),
                {routing_key: values.key, properties, payload: values.payload, payload_encoding: values.encoding});
            app.refresh();
            return routed ? 'Published: a queue has it.' : 'Published, but no queue got it: nothing is bound with that key.';
        },
    });
}

function message(one, number) {
    const {headers, ...properties} = one.properties || {};
    return el('article', {class: 'message'}, el('h3', {}, `Message ${number}`, one.redelivered ? el('span', {class: 'tag'}, 'redelivered') : null),
        facts([['Exchange', exchangeName(one.exchange ?? '')], ['Routing key', one.routing_key], ['Size', bytes(one.payload_bytes)], ['Properties', settings(properties)],
               ['Headers', settings(headers)]]),
        el('pre', {tabindex: '0', 'aria-label': one.payload_encoding === 'base64' ? 'Payload, in base 64' : 'Payload'}, one.payload),
        one.payload_encoding === 'base64' ? el('p', {class: 'hint'}, 'It is no text: shown in base 64.') : null);
}

const ENDINGS = {ack_requeue_true: 'put back', ack_requeue_false: 'acknowledged: gone from the queue', reject_requeue_false: 'rejected: dropped or dead-lettered'};

export function getMessages(app, queue) {
    ask({
        title: `Get messages from ${queue.name}`, button: 'Get', fields: [
            {name: 'count', label: 'How many at most', type: 'number', value: 1, min: 1, max: 1000, required: true},
            {name: 'ackmode', label: 'Then they are', type: 'select', options: Object.keys(ENDINGS), labels: ENDINGS, value: 'ack_requeue_true'},
            {name: 'encoding', label: 'Payloads', type: 'select', options: ['auto', 'base64'], labels: {auto: 'as text where they are', base64: 'in base 64'}},
        ],
        act: async values => {
            const got = await post(path('queues', queue.vhost, queue.name, 'get'), {...values, truncate: 50000});
            app.refresh();
            if (!got.length)
                return 'The queue has no message that is ready.';
            tell(`${count(got.length)} from ${queue.name}`, got.map((one, i) => message(one, i + 1)));
            return '';
        },
    });
}
