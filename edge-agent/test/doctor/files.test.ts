import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { resourcesPerTest } from '../../../tests/support/index.ts';
import { checkFiles, judgeCertificate } from '../../src/doctor/checks/files.ts';
import { userLine } from '../../src/ingest/broker-users.ts';
import { gatewayConfig, runCheck } from './gateway.ts';

const resources = resourcesPerTest();
const SECRET = 'correct-horse-battery';
const DAY = 86_400_000;
const CERTIFICATE_END = Date.parse('2026-12-11T13:06:33Z');
/** Of nobody, signed with a key that was thrown away. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBSDCB+6ADAgECAhRkcUaks5z0YOp4eVhOdxaay6WHDzAFBgMrZXAwGjEYMBYG
A1UEAwwPZmxvb3J3YXRjaC10ZXN0MB4XDTI2MTEyMTEzMDYzM1oXDTI2MTIxMTEz
MDYzM1owGjEYMBYGA1UEAwwPZmxvb3J3YXRjaC10ZXN0MCowBQYDK2VwAyEA5KcX
sgNRAICAQpMhILtrQ+IIVXJdL55sepDUUTDVlNSjUzBRMB0GA1UdDgQWBBROVaXE
fALol/5nTUlu4ckLpA01jzAfBgNVHSMEGDAWgBROVaXEfALol/5nTUlu4ckLpA01
jzAPBgNVHRMBAf8EBTADAQH/MAUGAytlcANBAMx6NVUaKkBOzQ2/SbdQ7DAHSvie
vytwdfG0XPVeDLVgYENykM5T6mTJonj/LjFFdWRr83Jeyge8Cqzd9orMEQw=
-----END CERTIFICATE-----`;

async function withToken(text: string | undefined, mode = 0o640): ReturnType<typeof runCheck> {
  const tokenFile = join(await resources.directory(), 'nats-token');
  if (text !== undefined) {
    await writeFile(tokenFile, text);
    await chmod(tokenFile, mode);
  }
  return runCheck(checkFiles, await gatewayConfig(resources, { nats: { tokenFile } }));
}

describe('doctor: files', () => {
  it.each([
    ['is safe', SECRET, 0o640, 'ok', /there, and safe from others/],
    ['may be read by everyone', SECRET, 0o644, 'warning', /every user of this machine may read .*nats-token/],
    ['may be changed by everyone', SECRET, 0o666, 'critical', /every user of this machine may change .*nats-token/],
    ['is empty', ' \n', 0o640, 'critical', /nats-token is empty/],
    ['is missing', undefined, 0o640, 'critical', /nats\.tokenFile: .*nats-token is not there$/],
  ])('a token that %s', async (_name, text, mode, severity, words) => {
    const findings = await withToken(text, mode);
    expect(findings).toMatchObject([{ severity, finding: expect.stringMatching(words) }]);
    expect(JSON.stringify(findings)).not.toContain(SECRET);
  });

  it('a configuration that everyone may change is critical', async () => {
    const gateway = await gatewayConfig(resources);
    await chmod(gateway.configFile, 0o666);
    expect(await runCheck(checkFiles, gateway)).toMatchObject([{ severity: 'critical' }]);
  });

  it('a broken line of the users file is named; a whole file is fine', async () => {
    const usersFile = join(await resources.directory(), 'users');
    await writeFile(usersFile, `# devices\npress-4:${SECRET}\n`, { mode: 0o600 });
    const gateway = await gatewayConfig(resources, { broker: { kind: 'embedded', usersFile } });
    const [wrong] = await runCheck(checkFiles, gateway);
    expect(wrong).toMatchObject({ severity: 'critical', finding: expect.stringMatching(/users, line 2/) });
    expect(JSON.stringify(wrong)).not.toContain(SECRET);
    await writeFile(usersFile, `${await userLine('press-4', SECRET)}\n`);
    expect(await runCheck(checkFiles, gateway)).toMatchObject([{ severity: 'ok' }]);
  });

  it.each([
    ['31 days before its end', -31 * DAY, []],
    ['in its last month', -30 * DAY + 1, ['warning']],
    ['in its last second', 0, ['warning']],
    ['after its end', 1, ['critical']],
  ])('a certificate %s', (_name, sinceEnd, severities) => {
    const findings = judgeCertificate('nats.tls.caFile', 'ca.pem', CERTIFICATE, CERTIFICATE_END + sinceEnd);
    expect(findings.map(({ severity }) => severity)).toEqual(severities);
  });

  it('a file that is no certificate is critical', () => {
    expect(judgeCertificate('nats.tls.caFile', 'ca.pem', 'hello', 0)).toMatchObject([{ severity: 'critical' }]);
  });
});
