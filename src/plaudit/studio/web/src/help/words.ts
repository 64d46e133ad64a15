import { define } from "../i18n";

export const words = define({
  en: {
    title: "How it works",
    judge: "What to go by",
    "judge.text":
      "Look at what the agent does, or read what the model wrote, and answer by what you would want it to do. There is no wrong answer. If you cannot tell, say so, or skip with a reason: a skip is worth more than a guess.",
    keys: "Keys",
    "keys.text":
      "Everything can be done with the keyboard. Press ? while you label to see the keys of the question on the screen, to change them, or to switch them off. Keys are never taken while you type in a field.",
    break: "Breaks",
    "break.text":
      "Take a break whenever you like: your answers are saved, and the open questions go to others. After twenty minutes the page reminds you.",
    kept: "If the connection is lost",
    "kept.text":
      "Go on. Answers and drafts are kept in this browser until the studio has saved them, also when the page is reloaded or the studio is restarted. Nothing is sent twice.",
    private: "What is recorded",
    "private.text":
      "Your answer, when it was given, and how long you looked, decided and wrote, counted only while this page is in front. Single key presses are not recorded.",
  },
  zh: {
    title: "使用说明",
    judge: "评判标准",
    "judge.text":
      "观看智能体的表现，或阅读模型写的文字，按照您希望它怎么做来回答。答案没有对错之分。如果判断不了，请如实选择，或说明原因后跳过：跳过比乱猜更有价值。",
    keys: "快捷键",
    "keys.text": "所有操作都可以用键盘完成。标注时按 ? 可查看当前问题的快捷键，也可以更改或关闭它们。在输入框中打字时，快捷键不起作用。",
    break: "休息",
    "break.text": "随时可以休息：已有的回答都已保存，尚未回答的问题会分给其他人。连续标注二十分钟后，页面会提醒您休息。",
    kept: "断网怎么办",
    "kept.text": "继续标注即可。回答和草稿会留在浏览器里，直到工作台保存成功；刷新页面或重启工作台都不会丢失，也不会重复提交。",
    private: "记录哪些内容",
    "private.text": "您的回答、回答的时间，以及观看、判断和书写各用了多久（只计算页面处于前台的时间）。不记录具体按了哪些键。",
  },
});
