/** Says of every test, as soon as it has ended, what became of it: one line of JSON each. */
const MARK = '\u0001sabotage ';

module.exports = class SabotageReporter {
  onTestCaseResult(_file, { fullName, status, failureMessages }) {
    if (status === 'passed' || status === 'failed') say({ fullName, status, failureMessages });
  }

  onTestFileResult(_file, { testExecError, failureMessage }) {
    if (testExecError) say({ status: 'crashed', failureMessages: [failureMessage ?? ''] });
  }
};
module.exports.MARK = MARK;

function say(line) {
  process.stdout.write(`\n${MARK}${JSON.stringify(line)}\n`);
}
