// SPDX-License-Identifier: Apache-2.0
// A session of imapflow from connecting to logout; every step is checked. Prints the steps as JSON.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { createRequire } from 'node:module';

const { ImapFlow } = createRequire(import.meta.url)(process.env.IMAPFLOW);
const user = process.env.MAIL_USER;
const steps = [];

function newClient(options = {}) {
	return new ImapFlow({
		host: 'localhost',
		port: Number(process.env.IMAPS_PORT),
		secure: true,
		auth: { user, pass: process.env.PASSWORD },
		tls: { ca: fs.readFileSync(process.env.CA_FILE) },
		logger: false,
		...options,
	});
}

// Delivers a mail by LMTP, a line for each reply.
async function deliver(subject) {
	const socket = net.connect(Number(process.env.LMTP_PORT), '127.0.0.1');
	const lines = (async function* () {
		let text = '';
		for await (const chunk of socket) {
			text += chunk;
			for (let end; (end = text.indexOf('\r\n')) >= 0; text = text.slice(end + 2))
				if (text[3] !== '-') yield text.slice(0, end);
		}
	})();
	const expect = async (code) => {
		const { value } = await lines.next();
		assert.equal(value?.slice(0, 3), code, value);
	};
	await expect('220');
	for (const [line, code] of [
		['LHLO flow.example.test', '250'],
		['MAIL FROM:<s@example.org>', '250'],
		[`RCPT TO:<${user}>`, '250'],
		['DATA', '354'],
		[`Subject: ${subject}\r\n\r\npushed\r\n.`, '250'],
		['QUIT', '221'],
	]) {
		socket.write(line + '\r\n');
		await expect(code);
	}
	socket.end();
}

async function step(name, run) {
	console.error(`step: ${name}`);
	await run();
	steps.push(name);
}

const client = newClient();
await step('connect', () => client.connect());

await step('list', async () => {
	const boxes = await client.list();
	const sent = boxes.find((box) => box.path === 'Sent');
	assert.equal(sent?.specialUse, '\\Sent');
	assert.ok(boxes.some((box) => box.path === 'INBOX'));
});

await step('status', async () => {
	const status = await client.status('INBOX', { messages: true, unseen: true, uidNext: true });
	assert.equal(status.messages, 5);
	assert.equal(status.unseen, 5);
});

let lock = await client.getMailboxLock('INBOX');
await step('open', () => assert.equal(client.mailbox.exists, 5));

await step('fetch', async () => {
	const subjects = [];
	for await (const m of client.fetch('1:*', { envelope: true, bodyStructure: true, flags: true, uid: true, size: true })) {
		subjects.push(m.envelope.subject);
		assert.equal(m.bodyStructure.type, 'text/plain');
		assert.ok(m.size > 100 && m.uid > 0);
	}
	assert.deepEqual(subjects, ['flow 0', 'flow 1', 'flow 2', 'flow 3', 'flow 4']);
});

await step('fetchOne with source', async () => {
	const m = await client.fetchOne('2', { source: true });
	assert.ok(m.source.toString().endsWith('text 1\r\n'));
});

await step('download', async () => {
	const { content } = await client.download('3', '1');
	let text = '';
	for await (const chunk of content) text += chunk;
	assert.equal(text, 'text 2\r\n');
});

await step('search', async () => {
	assert.deepEqual(await client.search({ subject: 'flow 3' }), [4]);
	assert.deepEqual(await client.search({ seen: true }), []);
});

await step('flags', async () => {
	await client.messageFlagsAdd('1:2', ['\\Seen', '$Label']);
	assert.deepEqual(await client.search({ seen: true }), [1, 2]);
	await client.messageFlagsRemove('1', ['$Label']);
	await client.messageFlagsSet('2', ['\\Flagged']);
	const m = await client.fetchOne('2', { flags: true });
	assert.ok(m.flags.has('\\Flagged') && !m.flags.has('\\Seen'));
});

await step('create, copy, move', async () => {
	assert.equal((await client.mailboxCreate(['Flow', 'Deep'])).path, 'Flow/Deep');
	const copied = await client.messageCopy('1:2', 'Flow/Deep');
	assert.equal(copied.uidMap.size, 2);
	const moved = await client.messageMove('5', 'Flow/Deep');
	assert.equal(moved.uidMap.size, 1);
	assert.equal((await client.status('Flow/Deep', { messages: true })).messages, 3);
});

await step('append', async () => {
	const done = await client.append('Flow/Deep', 'Subject: appended\r\n\r\nx\r\n', ['\\Seen'], new Date());
	assert.ok(done.uid > 0 && done.uidValidity);
});

await step('delete', async () => {
	await client.messageDelete('1');
	assert.equal((await client.status('INBOX', { messages: true })).messages, 3);
});

await step('idle', async () => {
	const told = new Promise((resolve) => client.once('exists', resolve));
	client.idle(); // lasts until the next command
	await new Promise((resolve) => setTimeout(resolve, 100));
	await deliver('pushed');
	const event = await told;
	assert.equal(event.count, 4);
	await client.noop();
});
lock.release();

await step('rename, subscribe, delete mailbox', async () => {
	await client.mailboxRename('Flow', 'Moved');
	await client.mailboxSubscribe('Moved/Deep');
	assert.ok((await client.list()).find((box) => box.path === 'Moved/Deep')?.subscribed);
	await client.mailboxDelete('Moved/Deep');
	// A name that only had children goes with the last of them.
	assert.ok(!(await client.list()).some((box) => box.path.startsWith('Moved')));
});

await step('logout', () => client.logout());

// Does it really use what we offer? Every line it sends is kept.
await step('CONDSTORE, QRESYNC, LIST-STATUS, SPECIAL-USE', async () => {
	const sent = [];
	const keep = (entry) => entry.src === 'c' && sent.push(entry.msg);
	const logger = { trace: keep, debug: keep, info: keep, warn: keep, error: keep };
	const c = newClient({ qresync: true, logger });
	await c.connect();
	assert.ok(c.enabled.has('CONDSTORE') && c.enabled.has('QRESYNC'), [...c.enabled].join());
	const boxes = await c.list({ statusQuery: { messages: true, size: true, highestModseq: true } });
	const inbox = boxes.find((box) => box.path === 'INBOX');
	assert.ok(inbox.status.messages === 4 && inbox.status.size > 0 && inbox.status.highestModseq > 0n);
	assert.equal(boxes.find((box) => box.path === 'Sent').specialUse, '\\Sent');

	const held = await c.getMailboxLock('INBOX');
	const before = c.mailbox.highestModseq;
	assert.ok(before > 0n && c.mailbox.mailboxId);
	await c.messageFlagsAdd('2', ['\\Flagged']);
	const changed = [];
	for await (const m of c.fetch('1:*', { uid: true, flags: true }, { changedSince: before })) changed.push(m);
	assert.ok(changed.length === 1 && changed[0].seq === 2 && changed[0].modseq > before && changed[0].emailId);

	const gone = new Promise((resolve) => c.once('expunge', resolve));
	await c.messageDelete('2');
	const event = await gone;
	assert.ok(event.vanished && event.uid === changed[0].uid && !event.earlier);
	const earlier = new Promise((resolve) => c.on('expunge', (e) => e.earlier && resolve(e)));
	for await (const m of c.fetch('1:*', { uid: true }, { uid: true, changedSince: before })) assert.ok(m.uid);
	assert.equal((await earlier).uid, changed[0].uid);
	held.release();
	await c.logout();
	for (const word of ['ENABLE CONDSTORE', 'QRESYNC', 'RETURN (STATUS', 'SPECIAL-USE',
		'CHANGEDSINCE', 'VANISHED'])
		assert.ok(sent.some((line) => line.includes(word)), `${word} not in\n${sent.join('\n')}`);
});

await step('wrong password', async () => {
	const other = newClient();
	other.options.auth.pass = 'wrong';
	await assert.rejects(other.connect(), (e) => e.authenticationFailed === true);
});

console.log(JSON.stringify(steps));
process.exit(0); // the refused client may still hold its socket
